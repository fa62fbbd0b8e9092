# The example programs print what `tern run` prints, whatever the form of the library.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prompt="Once upon a time"
same() { cmp "$work/expected" "$1" || { echo "expected:"; cat "$work/expected"; echo "found:"; cat "$1"; exit 1; }; }

{ printf %s "$prompt"; "$TERN" run "$MODELS/model.so" -p "$prompt" --greedy -n 200; } >"$work/expected"
[ "$(wc -c <"$work/expected")" -gt 200 ]
# The project's first page shows this very text.
sed -n "/^$prompt/,/^\`\`\`/p" "$README" | grep -v '^```' >"$work/readme"
same "$work/readme"

for form in model standalone sidecar; do
  "$EXAMPLES/example_story" "$MODELS/$form.so" "$prompt" >"$work/$form"
  same "$work/$form"
done
{ printf %s "$prompt"; "$TERN" run "$MODEL" -p "$prompt" --greedy -n 200; } >"$work/jit"
same "$work/jit"

"$EXAMPLES/example_plugin" "$MODELS/standalone.so" "$prompt" >"$work/plugin"
same "$work/plugin"
# One file is all it needs, wherever it lies.
mkdir "$work/else where"
cp "$MODELS/standalone.so" "$work/else where/a story.so"
(cd / && "$EXAMPLES/example_plugin" "$work/else where/a story.so" "$prompt") >"$work/moved"
same "$work/moved"
# A name without a slash is a file of this folder, not one of the system's libraries.
(cd "$work/else where" && "$EXAMPLES/example_story" "a story.so" "$prompt") >"$work/bare"
same "$work/bare"

# Texts continued together are those continued alone.
texts=("$prompt" "The dog" "A girl named Lily went to the park")
for text in "${texts[@]}"; do
  printf %s "$text"
  "$TERN" run "$MODELS/model.so" -p "$text" --greedy -n 40
done >"$work/alone"
"$EXAMPLES/example_batch" "$MODELS/model.so" "${texts[@]}" >"$work/together"
cmp "$work/alone" "$work/together"

# Without a runtime inside, the plugin says which symbol it misses.
if "$EXAMPLES/example_plugin" "$MODELS/model.so" "$prompt" >"$work/out" 2>"$work/error"; then
  echo "expected example_plugin to refuse a library without runtime"
  exit 1
fi
grep -q "tern_" "$work/error"
