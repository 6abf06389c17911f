#!/usr/bin/env bash
# Installs with pip, saying in a few lines how far it is: scripts/install.sh PYTHON PIP-ARGUMENTS...
set -euo pipefail

python=$1
shift

brief() {
  local line found=0 total
  total=$(grep -c '==' constraints.txt)
  while IFS= read -r line; do
    case $line in
      "Collecting "*)
        found=$((found + 1))
        ((found % 20)) || echo "  found $found of about $total packages" ;;
      *" Downloading "*[0-9][0-9][0-9].[0-9]" MB)"*) echo " ${line#" "}" ;;
      "Installing collected packages"*) echo "  unpacking" ;;
    esac
  done
}

PYTHONUNBUFFERED=1 "$python" -m pip install --no-compile --progress-bar off \
  --disable-pip-version-check -c constraints.txt "$@" | brief
