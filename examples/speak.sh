#!/usr/bin/env bash
# Let the live service's portrait say a text: bash examples/speak.sh TEXT [VIDEO] [ADDRESS]
# Any program that writes speech to a pipe can take espeak-ng's place.
set -euo pipefail
text=${1:?a text to say} video=${2:-speech.mp4} address=${3:-ws://127.0.0.1:8765/v1/live}
here=$(dirname "$0")
espeak-ng --stdout "$text" |
    python "$here/resample.py" |
    python "$here/live_client.py" - "$video" "$address"
