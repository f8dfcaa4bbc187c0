#!/usr/bin/env bash
# What to ask of a GPU in 9 minutes; each step has a time limit of its own, and how it ended is written at once.
#
#   bash benchmarks/gpu_day.sh RESULTS      DEVICE=cpu: in small, to see that it runs    ROOT: folder of Fashion-MNIST
#
# RESULTS gets summary.tsv (step, exit code, seconds, last line), log.txt, gpu.json, time_to_quality.json and quality.json.
set -u
DEVICE=${DEVICE:-cuda} ROOT=$(realpath -m "${ROOT:-data}") RESULTS=$(realpath -m "${1:-gpu_day}")
PYTHON=${PYTHON:-python} TOTAL=${TOTAL:-540} HERE=$(cd "$(dirname "$0")" && pwd) RUNS=$(mktemp -d) SECONDS=0
CONF=$HERE/../conf
trap 'rm -rf "$RUNS"' EXIT
export CUBLAS_WORKSPACE_CONFIG=:4096:8 PYTHONPATH="$HERE:$HERE/..:${PYTHONPATH:-}"
mkdir -p "$RESULTS" && cd "$RUNS" || exit 1
: > "$RESULTS/summary.tsv" && : > "$RESULTS/log.txt"
if [ "$DEVICE" = cpu ]; then
  GPU=(--trainer.accelerator cpu --trainer.devices 1) PRECISIONS=(bf16-mixed 32-true) AT_ONCE=2 LIMIT=200
  SHORT=2 EPOCHS=8 PIXELS=32 SMALL=--mini FEW="--batches 2" IMAGES="--images 500"
else
  GPU=(--trainer "$CONF/trainer/gpu.yaml") PRECISIONS=(bf16-mixed 16-mixed 32-true) AT_ONCE=8 LIMIT=60
  SHORT=30 EPOCHS=40 PIXELS=128 SMALL='' FEW='' IMAGES=''
fi
BATCHES=(--trainer.limit_train_batches $SHORT --trainer.limit_val_batches 2 --trainer.limit_test_batches 2 --trainer.max_epochs 2)

step() { # NAME LIMIT COMMAND...: a line of the summary and a part of the log, whole where steps run side by side
  local name=$1 limit=$2 began=$SECONDS code=skipped left=$((TOTAL - SECONDS)) log
  shift 2 && log=$(mktemp)
  if [ "$left" -ge 5 ]; then
    timeout --kill-after=5 $((limit < left ? limit : left)) "$@" > "$log" 2>&1 < /dev/null
    code=$?
  fi
  { echo "=== $name: $*"; cat "$log"; } | flock "$RESULTS/log.txt" tee -a "$RESULTS/log.txt" > /dev/null
  echo -e "$name\t$code\t$((SECONDS - began))\t$(tr '\r' '\n' < "$log" | grep -v '^ *$' | tail -n 1 | cut -c 1-200)" |
    flock "$RESULTS/summary.tsv" tee -a "$RESULTS/summary.tsv"
  rm -f "$log"
}
fit() { # NAME WORDS...
  local name=$1
  shift
  step "$name" $LIMIT "$PYTHON" -m lightning_gen fit --name "${name// /_}" "${GPU[@]}" "$@"
}
room() { while [ "$(jobs -rp | wc -l)" -ge $AT_ONCE ]; do wait -n; done; }

# 1. Does it run: the quickstart and the verbs on it; each kind of model in each precision; going on after a SIGTERM.
works() {
  fit quickstart --config "$CONF/quickstart.yaml" $([ "$DEVICE" = cpu ] && echo "${BATCHES[@]}")
  for verb in sample reconstruct encode interpolate traverse report test; do
    step "quickstart $verb" 40 "$PYTHON" -m lightning_gen "$verb" quickstart
  done
}
resumes() { # told to end after two epochs; then the training is compared with an undisturbed one
  local words=(--config "$CONF/quickstart.yaml" --trainer.deterministic true --default_pictures false --test_after_fit false)
  words+=(--trainer.max_epochs $EPOCHS --trainer.limit_train_batches 20 --trainer.limit_val_batches 1)
  fit whole "${words[@]}"
  step "killed (143)" $LIMIT bash -c 'until grep -q "^[2-9]," logs/killed/version_0/metrics.csv; do sleep 0.1; done 2> /dev/null &
    "$@" & training=$!; wait -n; kill -TERM $training; wait $training' - "$PYTHON" -m lightning_gen fit --name killed "${GPU[@]}" "${words[@]}"
  fit killed "${words[@]}" --ckpt_path last
  step "same weights" 30 "$PYTHON" -c "
import torch
one, two = (torch.load(f'logs/{name}/version_0/checkpoints/last.ckpt', map_location='cpu')['state_dict'] for name in ('whole', 'killed'))
print('largest difference', max((one[key].float() - two[key].float()).abs().max().item() for key in one))"
}
works & resumes &
for precision in "${PRECISIONS[@]}"; do
  for model in VAE VQVAE DCGAN; do
    room; fit "$model $precision" --model $model --data MiniFashionMNIST --trainer.precision "$precision" "${BATCHES[@]}" &
  done
  room; fit "ResVAE $precision" --model ResVAE --allow usual_data --data usual_data.RandomImages --data.image_size $PIXELS \
    --data.batch_size 32 --data.images 400 --trainer.precision "$precision" "${BATCHES[@]}" &
done
wait

# 2. Throughput beside bare loops and DataLoaders. 3. Time to quality. 4. A GAN for as long as is left, and its samples.
step throughput 200 "$PYTHON" "$HERE/gpu.py" --root "$ROOT" --repeats 2 --json "$RESULTS/gpu.json"
step "time to quality" $((LIMIT + 60)) "$PYTHON" "$HERE/time_to_quality.py" --root "$ROOT" --accelerator "$DEVICE" --repeats 1 $FEW \
  --json "$RESULTS/time_to_quality.json"
left=$((TOTAL - SECONDS - 60)) && [ $left -gt 0 ] || left=0
QUICK=(--data.root "$ROOT" --trainer.max_time "$(printf '00:00:%02d:%02d' $((left / 60)) $((left % 60)))")
[ "$DEVICE" = cpu ] && QUICK=(--data MiniFashionMNIST "${BATCHES[@]}")
step gan $((left + 20)) "$PYTHON" -m lightning_gen fit --name gan "${GPU[@]}" --config "$CONF/experiment/fashion_mnist_dcgan.yaml" \
  "${QUICK[@]}" --test_after_fit false
step "samples of the gan" 40 "$PYTHON" "$HERE/sample_quality.py" gan --root "$ROOT" $SMALL $IMAGES --json "$RESULTS/quality.json"
echo "$SECONDS of $TOTAL s; not 0: $(cut -f 1,2 "$RESULTS/summary.tsv" | grep -vP '\t0$' | paste -s -d ';')"
