#!/usr/bin/env bash
# The main job, end to end, offline: five tiny teachers into one student. Writes to runs/ only.
set -euo pipefail

STEPS=${STEPS:-1300}
TRAIN=${TRAIN:-1500}
VAL=${VAL:-150}
DATA=runs/demo-data
RUN=${RUN:-runs/demo}
TEACHERS=dino/nano,clip/nano,sam/nano,detector/nano,segmenter/nano
# The plan is that of the run: both commands get the same flags.
FLAGS=(--teachers "$TEACHERS" --steps "$STEPS" --batch-size 8 --image-size 96
  --set data.views=1 --set student.width=192)

say() { printf '\n== %s\n' "$*"; }

if [ -e "$RUN" ]; then
  RUN="$RUN-$(date +%Y%m%d-%H%M%S)"
fi
started=$SECONDS

say "The demo data: $TRAIN images, and $VAL held out, with labels"
kivfm scenes "$DATA" --train "$TRAIN" --val "$VAL" --seed 0

say "The plan"
kivfm compose "${FLAGS[@]}" --data "$DATA/train/images"

say "Distilling, $STEPS steps"
kivfm distill "${FLAGS[@]}" --data "$DATA/train/images" --out "$RUN"

say "The student beside its teachers, on held-out images"
kivfm evaluate "$RUN" --data "$DATA/val"

say "Predictions, drawn on an image"
mkdir -p "$RUN/predictions"
image="$DATA/val/images/000003.jpg"
for task in detection instance-segmentation semantic-segmentation; do
  kivfm predict "$RUN" "$image" --task "$task" -o "$RUN/predictions/$task.png" >/dev/null
done
kivfm predict "$RUN" "$image" --task promptable-segmentation --points 59,90 \
  -o "$RUN/predictions/promptable-segmentation.png" >/dev/null

say "Done in $((SECONDS - started)) s"
echo "run:        $RUN"
echo "table:      $RUN/evaluation.json"
echo "predictions: $RUN/predictions/"
echo "the same with images of your own:"
echo "  kivfm distill ${FLAGS[*]} --data FOLDER"
echo "the tiny teachers know drawn scenes only; with real ones, which are downloaded first:"
echo "  kivfm distill --teachers dino,clip,sam,detector,segmenter --data FOLDER"
