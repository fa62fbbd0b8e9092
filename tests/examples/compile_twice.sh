# The same model gives the same bytes, whoever compiles it where.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/one" "$work/another folder" "$work/tmp"
forms=("embed" "embed --standalone --target host" "sidecar --target host")
names=(model.so standalone.so sidecar.so)
for i in 0 1 2; do
  # shellcheck disable=SC2086
  (umask 022 && cd "$work/one" && LANG=C "$TERN" compile "$MODEL" -o "${names[i]}" -q --weights ${forms[i]})
  # shellcheck disable=SC2086
  (umask 077 && cd / && env LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 TZ=Asia/Tokyo TMPDIR="$work/tmp" SOMETHING=else \
    "$TERN" compile "$MODEL/" -o "$work/another folder/${names[i]}" -q --weights ${forms[i]})
  cmp "$work/one/${names[i]}" "$work/another folder/${names[i]}"
done
cmp "$work/one/sidecar.so.weights" "$work/another folder/sidecar.so.weights"
# No path of this machine is in them, and the files have the rights the umask leaves.
for file in "$work"/one/*; do
  for path in "$work" "$MODEL" "$(dirname "$TERN")"; do
    if grep -q -F -e "$path" "$file"; then
      echo "$file holds the path $path"
      exit 1
    fi
  done
done
[ "$(stat -c %a "$work/one/model.so")" = 755 ]
[ "$(stat -c %a "$work/one/sidecar.so.weights")" = 644 ]
[ "$(stat -c %a "$work/another folder/model.so")" = 700 ]
[ -z "$(ls -A "$work/tmp")" ]
