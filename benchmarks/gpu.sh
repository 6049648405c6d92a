#!/bin/sh
# Everything that needs a GPU, in one script: benchmarks/gpu.sh OUTPUT_FOLDER [MINUTES [PART ...]]
#
# Tests, until they have passed once, then benchmarks, the most telling first; what each leaves of its share of MINUTES
# (default 9) goes to the others. Parts: tests_kernels tests_device tests_service bench_backbone bench_depthwise_conv2d
# bench_block bench_capture bench_forms; all of them by default.
# OUTPUT_FOLDER receives eight files at most, after each part, so a run that is cut off keeps what it had: a table of
# each benchmark, log.txt, state.tar.gz (tests that passed, tuned configurations, what was begun) and, at the end and if
# it is below 15 MiB, compiled.tar.xz (what compilers made). Called again with these files there it goes on.
# Needs torch, triton, numpy, safetensors and pytest; with pytest-xdist tests run in eight processes, and where the
# service's own requirements are installed, its tests run as well. DEVICE=cpu tries the script without a GPU.
set -u
out=${1:?usage: benchmarks/gpu.sh OUTPUT_FOLDER [MINUTES [PART ...]]}
end=$(($(date +%s) + 60 * ${2:-9}))
if [ $# -gt 2 ]; then shift 2; parts=" $* "; else parts=all; fi
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
packing=35 # seconds at the end
largest=15728640 # bytes of compiled.tar.xz
lost=75 # status of a benchmark whose device can compute no more; a new process can
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
log=$out/log.txt
export PYTHONUNBUFFERED=1 BENCHMARK_RESULTS="$work" UNIREPLKNET_CACHE_FOLDER="$work/cache"
export TRITON_CACHE_DIR="$work/compiled/triton" TORCHINDUCTOR_CACHE_DIR="$work/compiled/inductor"
mkdir -p "$work/cache" "$work/compiled/triton" "$work/compiled/inductor"
touch "$work/passed.txt"
made=""

keep() { # under names that are complete or absent
    for rows in "$work"/*.csv; do
        if [ -f "$rows" ]; then cp "$rows" "$out/"; fi
    done
    # shellcheck disable=SC2046  # several names, or none
    (cd "$work" && tar -czf state.tar.gz passed.txt cache $(ls ./*.attempts.partial 2> /dev/null))
    mv "$work/state.tar.gz" "$out/"
}

pack() { # what compilers made, all of it or only that of torch.compile, in the time that is left
    for what in "triton inductor" inductor; do
        seconds=$((end - $(date +%s) - 8))
        if [ $seconds -lt 2 ]; then break; fi
        # shellcheck disable=SC2086,SC2016  # $what is several words; the inner shell has its own variables
        timeout $seconds sh -c 'tar -C "$1/compiled" -cf "$1/compiled.tar" $2 && xz -T0 -3 -f "$1/compiled.tar"' - "$work" "$what" || break
        if [ "$(wc -c < "$work/compiled.tar.xz")" -le $largest ]; then mv "$work/compiled.tar.xz" "$out/"; return; fi
    done
    echo "what compilers made is not kept: too large, no xz or no time" | tee -a "$log"
}

finish() {
    keep
    # shellcheck disable=SC2086  # $made is several words
    rm -rf "$work" $made
}
trap finish EXIT

left() { echo $((end - packing - $(date +%s))); }

wanted() { case "$parts" in all | *" $1 "*) true ;; *) false ;; esac; }

part() { # name, most seconds, command: its output goes to log.txt
    name=$1 seconds=$2
    shift 2
    if [ "$seconds" -gt "$(left)" ]; then seconds=$(left); fi
    if [ "$seconds" -lt 15 ]; then echo "$name: no time left"; return 1; fi
    echo "== $name, at most $seconds s" | tee -a "$log"
    timeout -k 5 "$seconds" "$@" > "$work/last.txt" 2>&1
    status=$?
    cat "$work/last.txt" >> "$log"
    tail -n 3 "$work/last.txt" | cut -c 1-300
    if [ $status -ne 0 ]; then echo "$name: status $status" | tee -a "$log"; fi
    keep
    return $status
}

tested() { # name, most seconds, arguments of pytest: once passed, not run again
    name=$1 seconds=$2
    shift 2
    if ! wanted "$name" || grep -qx "$name" "$work/passed.txt"; then return 0; fi
    if part "$name" "$seconds" env TRITON_CACHE_DIR="$work/tests" "$python" -m pytest "$@" -p no:cacheprovider -q --maxfail=20 -rfEs; then
        echo "$name" >> "$work/passed.txt"
    else
        tests=1
    fi
}

weights="bench_backbone:35 bench_depthwise_conv2d:25 bench_block:20 bench_capture:15 bench_forms:5"

share() { # name: the seconds that it may take, of those left for it and the wanted ones behind it
    own=0 all=0
    for each in $weights; do
        if [ "${each%:*}" = "$1" ]; then own=${each#*:} all=0; fi
        if wanted "${each%:*}"; then all=$((all + ${each#*:})); fi
    done
    echo $(($(left) * own / all))
}

bench() { # name of the module, arguments
    name=$1
    shift
    if ! wanted "$name"; then return 0; fi
    until=$(($(date +%s) + $(share "$name")))
    status=$lost
    while [ $status -eq $lost ]; do
        seconds=$((until - $(date +%s)))
        if [ $seconds -lt 15 ]; then echo "$name: no time left"; return 0; fi
        minutes=$(printf '%d.%02d' $((seconds / 60)) $((seconds % 60 * 100 / 60)))
        part "$name" $((seconds + 45)) "$python" -m "benchmarks.$name" --device "$device" --minutes "$minutes" "$@"
        status=$?
    done
}

ours_are_found() { "$python" -c 'import pathlib, tests.kernels.problems as t, benchmarks.comparison as b
assert all(pathlib.Path.cwd() in pathlib.Path(m.__file__).resolve().parents for m in (t, b)), (t, b)'; }

for rows in "$out"/*.csv; do
    if [ -f "$rows" ]; then cp "$rows" "$work/"; fi
done
for rows in benchmarks/results/backbone.csv benchmarks/results/forms.csv; do # which have rows of other machines
    if [ -f "$rows" ] && [ ! -f "$work/$(basename "$rows")" ]; then cp "$rows" "$work/"; fi
done
if [ -f "$out/state.tar.gz" ]; then tar -xzf "$out/state.tar.gz" -C "$work"; fi
if [ -f "$out/compiled.tar.xz" ]; then tar -xJf "$out/compiled.tar.xz" -C "$work/compiled"; fi
{ nvidia-smi; "$python" -c 'import torch, triton; print(torch.__version__, triton.__version__)'; } >> "$log" 2>&1

if ! ours_are_found 2>> "$log"; then # an installed package of that name goes before a folder that is none
    for folder in tests benchmarks; do
        if [ ! -f $folder/__init__.py ]; then touch $folder/__init__.py; made="$made $PWD/$folder/__init__.py"; fi
    done
    ours_are_found 2>> "$log" || { echo "tests or benchmarks cannot be imported from here"; exit 1; }
fi

tests=0
bare="-c /dev/null --rootdir=. -o pythonpath=. --import-mode=importlib"
if "$python" -c 'import xdist' 2> /dev/null; then bare="$bare -n ${PROCESSES:-8}"; fi
if "$python" -c 'import pytest_timeout' 2> /dev/null; then bare="$bare --timeout 120"; fi
marker="markers=gpu: needs a CUDA device"
# shellcheck disable=SC2086  # $bare is several words
tested tests_kernels 200 ${KERNEL_TESTS:-tests/kernels} $bare --confcutdir=tests/kernels -o "$marker"
# shellcheck disable=SC2086
tested tests_device 60 tests/service/engine/test_cuda_device.py $bare --noconftest -o "$marker"
if "$python" -c 'import service.app, pytest_timeout' 2> /dev/null; then
    tested tests_service 90 tests/service tests/preprocessors tests/models -m gpu
fi

if [ "$device" = cpu ]; then small="--variants clothing10 --batches 1 --seconds 0.1" forms="--variants a" tune=""; else small="" forms="" tune="--tune 60"; fi
# shellcheck disable=SC2086  # several words each, or none
{
    bench bench_backbone $small
    bench bench_depthwise_conv2d $tune
    bench bench_block
    bench bench_capture
    bench bench_forms $forms
}
pack
"$python" -m benchmarks.goals | tee -a "$log"
exit $tests
