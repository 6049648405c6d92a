#!/bin/sh
# Everything that needs a GPU, in one script: benchmarks/gpu.sh OUTPUT_FOLDER [MINUTES]
#
# Tests first (four minutes at most), then benchmarks that fit the rest; everything lands in OUTPUT_FOLDER as it comes,
# so a run that is cut off keeps what it had; with the default it takes less than ten minutes. Called again with an OUTPUT_FOLDER that holds rows, it goes on.
# Needs torch, triton, numpy and pytest; the tests of kernels use no others, so no configuration asks for more.
set -u
out=${1:?usage: benchmarks/gpu.sh OUTPUT_FOLDER [MINUTES]}
minutes=${2:-3}
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.." || exit 1
results=benchmarks/results
export PYTHONUNBUFFERED=1 XDG_CACHE_HOME="$out/cache"

keep() {
    for rows in depthwise_conv2d.csv backbone.csv; do
        if [ -f "$results/$rows" ]; then cp "$results/$rows" "$out/"; fi
    done
    find "$out/cache" -name '*.json' -exec cp {} "$out/" \;
}
trap keep EXIT

if [ -f "$out/depthwise_conv2d.csv" ]; then cp "$out/depthwise_conv2d.csv" "$results/"; fi
{ nvidia-smi; "$python" -c 'import torch, triton; print(torch.__version__, triton.__version__)'; } > "$out/machine.txt" 2>&1

echo "tests"
timeout 240 "$python" -m pytest tests/kernels -c /dev/null --rootdir=. --confcutdir=tests/kernels \
    -o pythonpath=. --import-mode=importlib -o markers='gpu: needs a CUDA device' -p no:cacheprovider -q -x -rs \
    > "$out/tests.txt" 2>&1
tests=$?
tail -n 5 "$out/tests.txt"

echo "backbone"
timeout 90 "$python" -m benchmarks.bench_backbone --device cuda --variants a,t,s > "$out/backbone.txt" 2>&1
keep

echo "depthwise convolution"
timeout $((60 * minutes + 60)) "$python" -m benchmarks.bench_depthwise_conv2d --device cuda --minutes "$minutes" \
    > "$out/depthwise_conv2d.txt" 2>&1
keep
tail -n 3 "$out/depthwise_conv2d.txt"
exit $tests
