# Compiles the bundled model in every form, for the tests beside this one.
set -euo pipefail
rm -rf "$MODELS"
mkdir -p "$MODELS"
"$TERN" compile "$MODEL" -o "$MODELS/model.so" --header
"$TERN" compile "$MODEL" -o "$MODELS/standalone.so" --standalone
"$TERN" compile "$MODEL" -o "$MODELS/sidecar.so" --weights sidecar
grep -q 'TERN_MODEL_MODEL_FILE "model.so"' "$MODELS/model.h"
[ -s "$MODELS/sidecar.so.weights" ]
[ ! -e "$MODELS/model.so.weights" ]
