# A compilation that is killed at any moment leaves the old file as it was.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
mkdir "$work/out"
killed=0
start=$(date +%s%N)
"$TERN" compile "$MODEL" --target host -o "$work/out/new.so" -q
took=$((($(date +%s%N) - start) / 1000000))
mv "$work/out/new.so" "$work/complete.so"
for try in $(seq 20); do
  echo "the old file" >"$work/out/new.so"
  "$TERN" compile "$MODEL" --target host -o "$work/out/new.so" -q &
  child=$!
  # From the first moments to the time a whole compilation takes.
  sleep "$(printf '%d.%03d' $((took * try / 20 / 1000)) $((took * try / 20 % 1000)))"
  kill -9 "$child" 2>/dev/null || true
  wait "$child" 2>/dev/null && : || killed=$((killed + 1))
  if [ "$(head -c 12 "$work/out/new.so")" != "the old file" ]; then
    cmp "$work/complete.so" "$work/out/new.so"
  fi
done
echo "killed $killed of 20"
[ "$killed" -ge 5 ]
