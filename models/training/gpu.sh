#!/bin/bash
# Trains a network on one GPU. Research use only, simulated data.
#
#   OUT=DIR ANATOMY=LABELMAPS ./gpu.sh simulate [--pairs 8000] [--workers 10]      # in the background
#   OUT=DIR ./gpu.sh train --network tiny|base [--minutes 9] [--seed 1] [--rate 2e-3] [--device cuda] [--batch 32]
#
# Needs: PyTorch 2, NumPy, SciPy, matplotlib, nibabel, tqdm (README.md). No network.
# Both run at the same time: `train` waits for the first shards of $OUT/cohorts and takes up new ones as they appear.
# Writes the run to $OUT/<network>-<seed>: config.json, log.jsonl, curves.png, checkpoint.pt, and light.pt, the same without
# what only the same run could go on from (`--start` and `export` take it under the name checkpoint.pt).
set -euo pipefail
cd "$(dirname "$0")"
: "${OUT:?OUT names the folder to write to}"
action="${1:?simulate or train}"
shift
minutes=9 workers=10 pairs=8000 device=cuda batch=32 validate=200 network=tiny seed=1 rate=2e-3 epoch=20000 python="${PYTHON:-python3}"
while [ $# -gt 0 ]; do
  case "$1" in
    --minutes) minutes="$2" ;;
    --workers) workers="$2" ;;
    --pairs) pairs="$2" ;;
    --device) device="$2" ;;
    --batch) batch="$2" ;;
    --validate) validate="$2" ;;
    --network) network="$2" ;;
    --seed) seed="$2" ;;
    --rate) rate="$2" ;;
    --epoch-pairs) epoch="$2" ;;
    *) echo "gpu.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
cohorts="$OUT/cohorts"
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000

case "$action" in
  simulate)
    : "${ANATOMY:?ANATOMY names the folder of label maps}"
    simulate() {
      OMP_NUM_THREADS=1 "$python" -m hemocast_training simulate --anatomy "$ANATOMY" --anatomy-cache "$OUT/heads" \
        --split "$1" --seed "$2" --count "$3" --workers "$4" --out "$cohorts/$1"
    }
    simulate validation 2028 "$validate" 2 &
    simulate train 2028 "$pairs" "$workers"
    wait
    ;;
  train)
    run="$OUT/$network-$seed"
    until [ "$(ls "$cohorts"/train/shard-????.npz 2>/dev/null | wc -l)" -ge 2 ] \
      && [ "$(ls "$cohorts"/validation/shard-????.npz 2>/dev/null | wc -l)" -ge 2 ]; do sleep 1; done
    "$python" -m hemocast_training train --network "$network" --bf16 --device "$device" --batch "$batch" --rate "$rate" \
      --average 0.999 --epoch-pairs "$epoch" --passes 20 --readers 2 --validate "$validate" --minutes "$minutes" --seed "$seed" \
      --train "$cohorts/train" --validation "$cohorts/validation" --out "$run"
    "$python" -m hemocast_training.checkpoint "$run"
    ;;
  *) echo "gpu.sh: simulate or train, not $action" >&2; exit 2 ;;
esac
