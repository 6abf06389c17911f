#!/usr/bin/env bash
# What is behind benchmarks/method/results, benchmarks/nano/results/demo.* and
# benchmarks/real/results/recipes.*, with their settings. What was finished before, with the same
# commands, is not run again: after a change of the method remove runs/method, runs/demo-seed-* and
# runs/real-recipes.
set -euo pipefail
method() { python -m benchmarks.method "$@" --seeds 3 --jobs 2; }

method recipes --steps 800 --screen-steps 300 --lr 4e-3,8e-3 --weight-decay 0.02,0.1 --global-level-lr 1
method ablation --steps 300 --blocks 3 --lr 4e-3
method joint --steps 300 --blocks 3 --lr 4e-3
method teachers --steps 300 --lr 4e-3
method labels --steps 400 --screen-steps 200 --blocks 3 --lr 2e-3,4e-3
python -m benchmarks.nano --seeds 3 --name demo -- --steps 1300 --batch-size 8 --image-size 96 \
  --set data.views=1 --set student.width=192
if test -d ../shared/assets; then # real weights and photographs, no part of kivfm
  python -m benchmarks.real.recipes --recipes kpu,phi-s,c-radio,theia --seeds 3 --steps 500 \
    --set engine.precision=bf16-mixed --set data.views=2 --set cache.encoding=int8 \
    --set cache.path=runs/cache-real --set data.memory=6
fi
