#!/bin/sh
# Everything that needs a GPU, in one script: benchmarks/gpu.sh OUTPUT_FOLDER [MINUTES]
#
# Tests first, until they have passed once, then benchmarks: whole networks with and without captured graphs, blocks by
# their fusions, the backbone as it is served, and with what is left of MINUTES (default 9) the depthwise convolution.
# All of it lands in OUTPUT_FOLDER as it comes, in eight files at most, so a run that is cut off keeps what it had;
# called again with the same folder it goes on where it stopped, tuned configurations included.
# Needs torch, triton, numpy and pytest; where the service's own requirements are installed, its tests run as well.
set -u
out=${1:?usage: benchmarks/gpu.sh OUTPUT_FOLDER [MINUTES]}
end=$(($(date +%s) + 60 * ${2:-9}))
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.." || exit 1
results=benchmarks/results
tables="capture.csv block.csv backbone.csv depthwise_conv2d.csv"
export PYTHONUNBUFFERED=1 UNIREPLKNET_CACHE_FOLDER="$out/cache"

keep() {
    for rows in $tables; do
        if [ -f "$results/$rows" ]; then cp "$results/$rows" "$out/"; fi
    done
}
trap keep EXIT

left() { # seconds until the end, of which at most $1 are taken
    seconds=$((end - $(date +%s)))
    if [ "$seconds" -gt "$1" ]; then echo "$1"; else echo "$seconds"; fi
}

part() { # name, most seconds, command: its output goes to OUTPUT_FOLDER/log.txt
    name=$1 seconds=$(left "$2")
    shift 2
    if [ "$seconds" -lt 20 ]; then echo "$name: no time left"; return 1; fi
    echo "$name" | tee -a "$out/log.txt"
    timeout "$seconds" "$@" >> "$out/log.txt" 2>&1
    status=$?
    tail -n 3 "$out/log.txt"
    keep
    return $status
}

tested() { # name, most seconds, arguments of pytest: once passed, not run again
    name=$1 seconds=$2
    shift 2
    if grep -qsx "$name" "$out/passed.txt"; then return 0; fi
    part "$name" "$seconds" "$python" -m pytest "$@" -p no:cacheprovider -q --maxfail=20 -rs && echo "$name" >> "$out/passed.txt"
}

bench() { # name of the module, most minutes
    seconds=$(left $((60 * $2)))
    part "$1" $((seconds + 30)) "$python" -m "benchmarks.$1" --device cuda --minutes "$((seconds / 60)).$((seconds % 60 / 6))"
}

for rows in $tables; do
    if [ -f "$out/$rows" ]; then cp "$out/$rows" "$results/"; fi
done
{ nvidia-smi; "$python" -c 'import torch, triton; print(torch.__version__, triton.__version__)'; } >> "$out/log.txt" 2>&1

bare="-c /dev/null --rootdir=. -o pythonpath=. --import-mode=importlib"
marker="markers=gpu: needs a CUDA device"
# shellcheck disable=SC2086  # $bare is several words
tested tests_kernels 240 tests/kernels $bare --confcutdir=tests/kernels -o "$marker"
tests=$?
# shellcheck disable=SC2086
tested tests_device 60 tests/service/engine/test_cuda_device.py $bare --noconftest -o "$marker" || tests=1
if "$python" -c 'import service.app, pytest_timeout' 2> /dev/null; then
    tested tests_service 90 tests/service tests/preprocessors tests/models -m gpu || tests=1
fi

bench bench_capture 2
bench bench_block 2
part bench_backbone 60 "$python" -m benchmarks.bench_backbone --device cuda --variants t,a,s --batches 1,8,128 --seconds 2
bench bench_depthwise_conv2d 9
exit $tests
