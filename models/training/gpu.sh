#!/bin/bash
# Trains a network on one GPU. Research use only, simulated data.
#
#   OUT=DIR ANATOMY=LABELMAPS ./gpu.sh simulate [--pairs 8000] [--workers 10] [--shift mixed-anatomy] [--seed 1] [--validate 200]
#   OUT=DIR ./gpu.sh train [--network tiny|base] [--minutes 9] [--seed 1] [--rate 2e-3] [--start RUN] [--device cuda] [--batch 32]
#                          [--epoch-pairs 5000] [--validate 200] [--back DIR]
#
# OUT, ANATOMY: folders to write to and of the label maps. PYTHON: the interpreter, python3 where it is not given.
# Needs: PyTorch 2, NumPy, SciPy, matplotlib, nibabel, tqdm (README.md). No network. `simulate` computes on the CPU.
# Both run at the same time: `train` waits for the first shards of $OUT/cohorts and takes up new ones as they appear; it gives up
# where `simulate` has failed meanwhile. --validate of both is the same: the cases that are simulated, and looked at after each epoch.
# Writes the run to $OUT/<network>-<seed>: config.json, log.jsonl, curves.png, checkpoint.pt, and light.pt, the same without
# what only the same run could go on from (`--start` and `export` take it under the name checkpoint.pt).
# --back: a folder that outlives the machine, a borrowed one. After each epoch it gets the run as it is, its checkpoint in parts of
# 12 MB (`cat checkpoint.pt.* > checkpoint.pt`), so that a machine that is taken away takes at most one epoch with it: with the run
# back in $OUT, beside the same cohorts, the same command continues on another.
set -euo pipefail
cd "$(dirname "$0")"
: "${OUT:?OUT names the folder to write to}"
action="${1:?simulate or train}"
shift
case "$action" in
  simulate) known=" --pairs --workers --shift --seed --validate " ;;
  train) known=" --network --minutes --seed --rate --start --device --batch --epoch-pairs --validate --back " ;;
  *) echo "gpu.sh: simulate or train, not $action" >&2; exit 2 ;;
esac
minutes=9 workers=10 pairs=8000 device=cuda batch=32 validate=200 network=tiny seed=1 rate=2e-3 epoch=5000 start="" back="" shift=mixed-anatomy python="${PYTHON:-python3}"
while [ $# -gt 0 ]; do
  case "$known" in *" $1 "*) ;; *) echo "gpu.sh: $action has no option $1; it has$known" >&2; exit 2 ;; esac
  [ $# -ge 2 ] || { echo "gpu.sh: $1 needs a value" >&2; exit 2; }
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
    --start) start="$2" ;;
    --back) back="$2" ;;
    --shift) shift="$2" ;;
  esac
  shift 2
done
cohorts="$OUT/cohorts"
failed="$cohorts/failed"
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000

case "$action" in
  simulate)
    : "${ANATOMY:?ANATOMY names the folder of label maps}"
    mkdir -p "$cohorts"
    rm -f "$failed"
    # A failure is written down at once: `train` waits for shards, and the other cohort may take an hour yet.
    simulate() {
      OMP_NUM_THREADS=1 "$python" -m hemocast_training simulate --anatomy "$ANATOMY" --anatomy-cache "$OUT/heads" \
        --split "$1" --seed "$2" --count "$3" --workers "$4" --shift "$5" --out "$cohorts/$1" \
        || { echo "gpu.sh: the $1 cohort was not simulated" | tee -a "$failed" >&2; return 1; }
    }
    simulate validation 2028 "$validate" 2 none &
    validation=$! ended=0
    simulate train $((2028 + seed)) "$pairs" "$workers" "$shift" || ended=1
    wait "$validation" || ended=1
    exit "$ended"
    ;;
  train)
    run="$OUT/$network-$seed"
    # Two shards, or all of a cohort that has no more.
    begun() { [ -e "$cohorts/$1/cohort.json" ] || [ "$(ls "$cohorts/$1"/shard-????.npz 2>/dev/null | wc -l)" -ge 2 ]; }
    until begun train && begun validation; do
      sleep 1
      [ ! -e "$failed" ] || { echo "gpu.sh: simulate has failed, no shards will come: $(cat "$failed")" >&2; exit 1; }
    done
    # The copy is replaced as a whole, and bears the time of the checkpoint it was made of.
    bring_back() {
      local there="$back/$network-$seed" stamp="$run/brought-back"
      [ -n "$back" ] && [ "$run/checkpoint.pt" -nt "$stamp" ] || return 0
      touch -r "$run/checkpoint.pt" "$stamp.next" \
        && rm -rf "$there.next" && mkdir -p "$there.next" && split -b 12M -d "$run/checkpoint.pt" "$there.next/checkpoint.pt." \
        && cp "$run/config.json" "$run/log.jsonl" "$run/curves.png" "$there.next/" \
        && rm -rf "$there" && mv "$there.next" "$there" && mv "$stamp.next" "$stamp"
    }
    "$python" -m hemocast_training train --network "$network" --bf16 --device "$device" --batch "$batch" --rate "$rate" \
      --average 0.999 --epoch-pairs "$epoch" --passes 20 --readers 4 --validate "$validate" --minutes "$minutes" --seed "$seed" \
      ${start:+--start "$start"} --train "$cohorts/train" --validation "$cohorts/validation" --out "$run" &
    training=$!
    trap 'kill "$training" 2>/dev/null || :' EXIT INT TERM
    while kill -0 "$training" 2>/dev/null; do
      sleep 3
      bring_back || echo "gpu.sh: nothing could be brought back to $back this time" >&2
    done
    ended=0
    wait "$training" || ended=$?
    bring_back
    [ "$ended" = 0 ] || exit "$ended"
    "$python" -m hemocast_training.checkpoint "$run"
    ;;
esac
