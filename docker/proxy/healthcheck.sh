#!/usr/bin/env bash
# Does the proxy answer, whatever becomes of the replicas? The image has no program that speaks HTTP.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/8000
printf 'GET /proxy/health HTTP/1.0\r\n\r\n' >&3
IFS=' ' read -r _ status _ <&3
[ "$status" = 200 ]
