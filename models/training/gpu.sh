#!/bin/bash
# Trains `base` on one GPU in two commands of at most ten minutes each. Research use only, simulated data.
#
#   OUT=DIR ANATOMY=LABELMAPS ./gpu.sh simulate [--minutes 9] [--workers 16] [--pairs 8000]
#   OUT=DIR ./gpu.sh train [--minutes 8] [--device cuda] [--batch 32] [--threads 16] [--validate 400] [--parts 15M]
#
# Needs: PyTorch 2, NumPy, SciPy, matplotlib, nibabel, tqdm (README.md). No network. ONNX and ONNX Runtime only for the timing.
# Reads: LABELMAPS, or COHORTS (a folder with train/ and validation/, made elsewhere; default $OUT/cohorts).
# Writes config.json, log.jsonl, curves.png and checkpoint.pt (51 MB) to RUN (default $OUT/run); $OUT/onnx-timing.json where
# ONNX Runtime is there. --parts SIZE, for machines that return small files only: puts checkpoint.part-* and the small files
# into $OUT (let RUN lie elsewhere then). Parts in the folder RESUME are joined to RUN/checkpoint.pt, and training goes on.
# `train` again with more minutes in all goes on from the checkpoint, on another machine too. A cut run loses one epoch.
set -euo pipefail
cd "$(dirname "$0")"
: "${OUT:?OUT names the folder to write to}"
action="${1:?simulate or train}"
shift
minutes="" workers=16 pairs=8000 device=cuda batch=32 threads=16 validate=400 python="${PYTHON:-python3}"
parts="" run="${RUN:-$OUT/run}"
cohorts="${COHORTS:-$OUT/cohorts}"
while [ $# -gt 0 ]; do
  case "$1" in
    --minutes) minutes="$2" ;;
    --workers) workers="$2" ;;
    --pairs) pairs="$2" ;;
    --device) device="$2" ;;
    --batch) batch="$2" ;;
    --threads) threads="$2" ;;
    --parts) parts="$2" ;;
    --validate) validate="$2" ;;
    *) echo "gpu.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000

case "$action" in
  simulate)
    : "${ANATOMY:?ANATOMY names the folder of label maps}"
    limit="$(awk "BEGIN { print 60 * ${minutes:-9} }")"
    simulate() {
      OMP_NUM_THREADS=1 timeout "$limit" "$python" -m hemocast_training simulate --anatomy "$ANATOMY" --split "$1" \
        --seed "$2" --count "$3" --workers "$4" --out "$cohorts/$1" || [ $? -eq 124 ]
    }
    # Side by side, so that a cut leaves both cohorts; whole shards survive a cut.
    beside=$((workers > 8 ? 2 : 1))
    simulate validation 2027 $((pairs / 8)) "$beside" &
    simulate train 2026 "$pairs" $((workers > beside ? workers - beside : 1))
    wait
    ls "$cohorts/train" "$cohorts/validation" | grep -c shard
    ;;
  train)
    mkdir -p "$run"
    if [ -n "${RESUME:-}" ]; then cat "$RESUME"/checkpoint.part-* > "$run/checkpoint.pt"; fi
    "$python" -m hemocast_training train --network base --bf16 --device "$device" --threads "$threads" --batch "$batch" \
      --rate 1e-3 --average 0.999 --epoch-pairs 2000 --validate "$validate" --minutes "${minutes:-8}" --seed 1 \
      --train "$cohorts/train" --validation "$cohorts/validation" --out "$run"
    if [ -n "$parts" ]; then
      split -b "$parts" "$run/checkpoint.pt" "$OUT/checkpoint.part-"
      cp "$run/config.json" "$run/log.jsonl" "$run/curves.png" "$OUT/"
    fi
    if "$python" -c 'import onnx, onnxruntime' 2>/dev/null; then
      "$python" -m hemocast_training.onnx_timing "$run" "$OUT/onnx-timing.json"
    else
      echo "onnx and onnxruntime are not importable: the exported graph is not timed."
    fi
    ;;
  *) echo "gpu.sh: simulate or train, not $action" >&2; exit 2 ;;
esac
