//===- Run.cpp - tern run -------------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Options.h"
#include "frontends/cli/Verbs.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tern::cli {

namespace {
struct RunFlags {
  RunOptions run;
  std::string prompt, file, ids, output = "text";
  std::vector<std::string> stop;
  bool hasIds = false, greedy = false, ignoreEos = false, parseSpecial = false;
  uint32_t tokens = 128, context = 0;
  /// Not given: as the model card suggests.
  std::optional<float> temperature, topP, penalty;
  std::optional<int32_t> topK;
  float minP = 0;
  uint64_t seed = 0;
};

/// What is gathered while tokens come.
struct Stream {
  std::string format;
  std::vector<int32_t> ids;
  std::string text;
  std::chrono::steady_clock::time_point first;
  bool full = false; ///< the context was full before the last token asked for
};
} // namespace

static int onToken(void *context, const char *text, size_t bytes, int32_t id) {
  auto &stream = *static_cast<Stream *>(context);
  if (stream.ids.empty())
    stream.first = std::chrono::steady_clock::now();
  if (id >= 0) {
    if (stream.format == "ids")
      outs() << (stream.ids.empty() ? "" : " ") << id;
    stream.ids.push_back(id);
  }
  stream.text.append(text, bytes);
  if (stream.format == "text")
    outs().write(text, bytes);
  outs().flush();
  return 0;
}

static Expected<std::vector<int32_t>> promptIds(const RunFlags &flags, const tern_model_t *model) {
  if (flags.hasIds)
    return parseIds(flags.ids);
  std::string text = flags.prompt;
  if (!flags.file.empty()) {
    auto contents = readTextFile(flags.file);
    if (!contents)
      return contents.takeError();
    text = *contents;
  }
  uint32_t parse = flags.parseSpecial ? TERN_TOKENIZE_PARSE_SPECIAL : 0;
  return tokenize(model, text, TERN_TOKENIZE_ADD_BOS | parse);
}

static tern_sampler_options_t samplerOptions(const RunFlags &flags, const json::Object &card) {
  const json::Object none, *suggested = card.getObject("generation");
  if (!suggested)
    suggested = &none;
  auto choose = [&](std::optional<float> given, StringRef key, double otherwise) {
    return given.value_or(suggested->getNumber(key).value_or(otherwise));
  };
  bool sample = suggested->getBoolean("sample").value_or(true);
  tern_sampler_options_t options = {};
  options.struct_size = sizeof options;
  options.temperature = flags.greedy ? 0 : choose(flags.temperature, "temperature", 0.8);
  if (!sample && !flags.temperature)
    options.temperature = 0;
  options.top_k = flags.topK.value_or(suggested->getInteger("top_k").value_or(0));
  options.top_p = choose(flags.topP, "top_p", 0.9);
  options.min_p = flags.minP;
  options.repetition_penalty = choose(flags.penalty, "repetition_penalty", 1);
  options.seed = flags.seed;
  return options;
}

static void printJson(const Stream &stream, ArrayRef<int32_t> prompt, double prefill,
                      double decode) {
  json::Array promptIds, ids;
  for (int32_t id : prompt)
    promptIds.push_back(id);
  for (int32_t id : stream.ids)
    ids.push_back(id);
  json::Object result{
      {"prompt_ids", std::move(promptIds)},
      {"ids", std::move(ids)},
      {"text", json::isUTF8(stream.text) ? stream.text : json::fixUTF8(stream.text)},
      {"prefill_seconds", prefill},
      {"decode_seconds", decode}};
  outs() << json::Value(std::move(result)) << '\n';
}

/// Generates into `stream`. A full cache ends the text; it is no failure once there is some.
static Error generate(const RunFlags &flags, const tern_model_t *model, tern_session_t *session,
                      ArrayRef<int32_t> prompt, Stream &stream) {
  std::vector<const char *> stop;
  for (const std::string &text : flags.stop)
    stop.push_back(text.c_str());
  tern_generate_options_t options = {};
  options.struct_size = sizeof options;
  options.max_tokens = flags.tokens;
  options.ignore_eos = flags.ignoreEos;
  options.stop = stop.data();
  options.stop_count = stop.size();
  options.sampler = samplerOptions(flags, modelCard(model));
  tern_status_t status =
      tern_generate_ids(session, prompt.data(), prompt.size(), &options, onToken, &stream);
  stream.full = status == TERN_STATUS_CONTEXT_FULL && !stream.ids.empty();
  return stream.full ? Error::success() : checkStatus(status);
}

static Error runRun(const RunFlags &flags) {
  auto start = std::chrono::steady_clock::now();
  auto model = openForRunning(flags.run);
  if (!model)
    return model.takeError();
  auto info = modelInfo(model->get());
  if (!info)
    return info.takeError();
  if (!info->has_tokenizer && (!flags.hasIds || flags.output != "ids"))
    return makeError(flags.run.model + ": has no tokenizer; expected --ids 1,2,3 and --output ids");
  auto prompt = promptIds(flags, model->get());
  if (!prompt)
    return prompt.takeError();
  if (prompt->empty())
    return makeError("expected a prompt of at least one token (-p, -f or --ids)");
  auto session = makeSession(model->get(), flags.run.threads, flags.context);
  if (!session)
    return session.takeError();
  double opened = secondsSince(start);

  Stream stream;
  stream.format = flags.output;
  auto begin = stream.first = std::chrono::steady_clock::now();
  if (Error error = generate(flags, model->get(), session->get(), *prompt, stream))
    return error;
  double total = secondsSince(begin);
  double prefill = std::chrono::duration<double>(stream.first - begin).count();
  if (flags.output == "json")
    printJson(stream, *prompt, prefill, total - prefill);
  else
    outs() << '\n';
  outs().flush();
  if (stream.full)
    errs() << "tern: note: stopped where the context was full (see --context)\n";
  size_t decoded = stream.ids.empty() ? 0 : stream.ids.size() - 1;
  errs() << format("ready in %.2f s; prompt %zu tokens in %.3f s; ", opened, prompt->size(),
                   prefill)
         << format("%zu tokens, %.1f tokens/s\n", stream.ids.size(),
                   total > prefill ? decoded / (total - prefill) : 0.0);
  return Error::success();
}

static void addSampling(CLI::App &verb, RunFlags &flags) {
  auto *greedy = verb.add_flag("--greedy", flags.greedy, "always the likeliest token");
  verb.add_option("--temp", flags.temperature, "temperature; 0 is greedy (default: the model's)")
      ->check(isNumber(0.0, 100.0))
      ->excludes(greedy);
  verb.add_option("--top-k", flags.topK, "only the k likeliest; 0: off")
      ->check(isCount(0, kMaxTokens));
  verb.add_option("--top-p", flags.topP, "smallest set of this probability; 1: off")
      ->check(isNumber(0.0, 1.0));
  verb.add_option("--min-p", flags.minP, "at least this share of the likeliest")
      ->check(isNumber(0.0, 1.0));
  verb.add_option("--repeat-penalty", flags.penalty, "divides logits of recent tokens; 1: off")
      ->check(isNumber(0.01, 100.0));
  verb.add_option("--seed", flags.seed, "of the random numbers")->capture_default_str();
}

void addRun(CLI::App &app, Action &action) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App *verb = app.add_subcommand("run", "continue a text");
  addRunOptions(*verb, flags->run);
  addTuning(*verb, flags->run.tuning);
  auto *prompt = verb->add_option("-p,--prompt", flags->prompt, "the text to continue");
  auto *file = verb->add_option("-f,--file", flags->file, "a file with the text; - is stdin");
  auto *ids =
      verb->add_option("--ids", flags->ids, "token ids instead of text: 1,2,3")->check(isIdList());
  prompt->excludes(file)->excludes(ids);
  file->excludes(ids);
  verb->add_option("-n,--tokens", flags->tokens, "new tokens at most")
      ->check(isCount(1, kMaxTokens))
      ->capture_default_str();
  addSampling(*verb, *flags);
  verb->add_option("--stop", flags->stop, "a text that ends the output; repeatable");
  verb->add_flag("--ignore-eos", flags->ignoreEos, "go on after end tokens");
  verb->add_flag("--special", flags->parseSpecial, "special tokens in the prompt are tokens");
  verb->add_option("--context", flags->context, "positions of the cache; 0: the model's")
      ->check(isCount(0, kMaxTokens));
  verb->add_option("--output", flags->output, "text, ids or json")
      ->check(CLI::IsMember({"text", "ids", "json"}))
      ->capture_default_str();
  verb->callback([flags, ids, &action] {
    flags->hasIds = ids->count() > 0;
    action = [flags] { return runRun(*flags); };
  });
}

} // namespace tern::cli
