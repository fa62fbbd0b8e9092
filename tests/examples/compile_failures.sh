# Compilations that fail leave the old files as they were and nothing beside them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out" "$work/tmp" "$work/model"
export TMPDIR=$work/tmp
cp "$MODEL"/*.json "$MODEL"/*.safetensors "$work/model"
cd "$work/out"

# fails WHAT PATTERN ARGUMENTS...: `tern compile` of the changed model, over old files.
fails() {
  local what=$1 pattern=$2 code=0
  shift 2
  echo "old" >model.so
  echo "old weights" >model.so.weights
  "$TERN" compile "$work/model" --target host "$@" >"$work/stdout" 2>"$work/error" || code=$?
  [ "$code" = 1 ] || { echo "$what: expected exit code 1, found $code"; cat "$work/error"; exit 1; }
  grep -q -e "$pattern" "$work/error" || { echo "$what: expected '$pattern' in:"; cat "$work/error"; exit 1; }
  [ "$(cat model.so)" = "old" ] && [ "$(cat model.so.weights)" = "old weights" ] ||
    { echo "$what: changed the old files"; exit 1; }
  [ "$(ls -A)" = "$(printf 'model.so\nmodel.so.weights')" ] || { echo "$what: left files:"; ls -A; exit 1; }
  [ -z "$(ls -A "$work/tmp")" ] || { echo "$what: left temporary files:"; ls -A "$work/tmp"; exit 1; }
}

# Trit code 3 at the file's end: found only while the weights are packed.
weights=$work/model/model.safetensors
printf '\377' | dd of="$weights" bs=1 seek=$(($(stat -c %s "$weights") - 20000)) conv=notrunc status=none
for form in "--weights embed" "--weights sidecar" "--standalone" "--packing base3"; do
  # shellcheck disable=SC2086
  fails "code 3, $form" "code" -o model.so $form
done
cp "$MODEL/model.safetensors" "$work/model"
fails "no such folder" "missing" -o missing/model.so
mkdir "$work/folder"
fails "the output is a folder" "folder" -o "$work/folder"
[ -z "$(ls -A "$work/folder")" ]
truncate -s -100 "$weights"
fails "truncated" "model.safetensors" -o model.so
rm "$weights"
fails "no weights" "model.safetensors" -o model.so

# A full disk: the file may not grow beyond 1 MB here.
cp "$MODEL/model.safetensors" "$work/model"
(ulimit -f 1000 && trap '' XFSZ && fails "no room" "cannot write" -o model.so)
