# A library with its weights in a second file: it moves with that file, and says what is wrong with it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$MODELS/sidecar.so" "$MODELS/sidecar.so.weights" "$work"
cd "$work"
run() { "$TERN" run "$1" --ids 4093 --greedy -n 8 --output ids; }
run sidecar.so >expected
run "$MODELS/model.so" >embedded
cmp expected embedded

# refused WHAT PATTERN...: exit code 1, nothing on stdout, and every pattern in the error.
refused() {
  local what=$1 code=0
  shift
  run sidecar.so >out 2>error || code=$?
  [ "$code" = 1 ] || { echo "$what: expected exit code 1, found $code"; cat error; exit 1; }
  [ ! -s out ] || { echo "$what: printed ids"; exit 1; }
  for pattern in "$@"; do
    grep -q -e "$pattern" error || { echo "$what: expected '$pattern' in:"; cat error; exit 1; }
  done
}
good=$MODELS/sidecar.so.weights
bytes=$(stat -c %s "$good")

rm sidecar.so.weights
refused "missing" "sidecar.so.weights" "[Nn]o such file"
head -c $((bytes / 2)) "$good" >sidecar.so.weights
refused "truncated" "sidecar.so.weights" "expected $bytes bytes" "found $((bytes / 2))"
: >sidecar.so.weights
refused "empty" "sidecar.so.weights" "found 0"
head -c "$bytes" /dev/zero >sidecar.so.weights
refused "not a payload" "sidecar.so.weights" "expected the magic"
cp "$good" sidecar.so.weights
printf x | dd of=sidecar.so.weights bs=1 seek=$((bytes - 100)) conv=notrunc status=none
refused "changed" "sidecar.so.weights" "weights section" "checksum differs"
mkdir other
cp "$MODEL"/*.json "$MODEL"/*.safetensors other
sed -i 's/<|end_of_text|>/<|END_of_text|>/' other/tokenizer*.json other/special_tokens_map.json
"$TERN" compile other -o other.so --weights sidecar -q
cp other.so.weights sidecar.so.weights
refused "another model's" "sidecar.so.weights" "made for other code"

cp "$good" sidecar.so.weights
run sidecar.so >again
cmp expected again
