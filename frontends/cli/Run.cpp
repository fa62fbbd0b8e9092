//===- Run.cpp - tern run -------------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace llvm;

namespace tern::cli {

namespace {
struct RunFlags {
  RunOptions run;
  std::string prompt, file, ids, output = "text";
  std::vector<std::string> stop;
  bool hasIds = false, greedy = false, ignoreEos = false, parseSpecial = false;
  uint32_t tokens = 128, context = 0;
  float temperature = 0.8f, topP = 0.9f, minP = 0, penalty = 1;
  int32_t topK = 0;
  uint64_t seed = 0;
};

/// What is gathered while tokens come.
struct Stream {
  std::string format;
  std::vector<int32_t> ids;
  std::string text;
  std::chrono::steady_clock::time_point first;
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

static tern_generate_options_t generateOptions(const RunFlags &flags,
                                               const std::vector<const char *> &stop) {
  tern_generate_options_t options = {};
  options.struct_size = sizeof options;
  options.max_tokens = flags.tokens;
  options.ignore_eos = flags.ignoreEos;
  options.stop = stop.data();
  options.stop_count = stop.size();
  options.sampler.struct_size = sizeof options.sampler;
  options.sampler.temperature = flags.greedy ? 0 : flags.temperature;
  options.sampler.top_k = flags.topK;
  options.sampler.top_p = flags.topP;
  options.sampler.min_p = flags.minP;
  options.sampler.repetition_penalty = flags.penalty;
  options.sampler.seed = flags.seed;
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

static Error runRun(const RunFlags &flags) {
  auto start = std::chrono::steady_clock::now();
  auto model = openForRunning(flags.run);
  if (!model)
    return model.takeError();
  auto prompt = promptIds(flags, model->get());
  if (!prompt)
    return prompt.takeError();
  if (prompt->empty())
    return makeError("expected a prompt of at least one token (-p, -f or --ids)");
  auto session = makeSession(model->get(), flags.run.threads, flags.context);
  if (!session)
    return session.takeError();
  double opened = secondsSince(start);

  std::vector<const char *> stop;
  for (const std::string &text : flags.stop)
    stop.push_back(text.c_str());
  tern_generate_options_t options = generateOptions(flags, stop);
  Stream stream;
  stream.format = flags.output;
  auto begin = std::chrono::steady_clock::now();
  stream.first = begin;
  if (Error error = checkStatus(tern_generate_ids(session->get(), prompt->data(), prompt->size(),
                                                  &options, onToken, &stream)))
    return error;
  double total = secondsSince(begin);
  double prefill = std::chrono::duration<double>(stream.first - begin).count();
  if (flags.output == "json")
    printJson(stream, *prompt, prefill, total - prefill);
  else
    outs() << '\n';
  outs().flush();
  size_t decoded = stream.ids.empty() ? 0 : stream.ids.size() - 1;
  errs() << format("ready in %.2f s; prompt %zu tokens in %.3f s; ", opened, prompt->size(),
                   prefill)
         << format("%zu tokens, %.1f tokens/s\n", stream.ids.size(),
                   total > prefill ? decoded / (total - prefill) : 0.0);
  return Error::success();
}

void addRun(CLI::App &app, Action &action) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App *verb = app.add_subcommand("run", "continue a text");
  verb->add_option("model", flags->run.model, "checkpoint (compiled in memory) or library")
      ->required();
  auto *prompt = verb->add_option("-p,--prompt", flags->prompt, "the text to continue");
  auto *file = verb->add_option("-f,--file", flags->file, "a file with the text; - is stdin");
  auto *ids = verb->add_option("--ids", flags->ids, "token ids instead of text: 1,2,3");
  prompt->excludes(file)->excludes(ids);
  file->excludes(ids);
  verb->add_option("-n,--tokens", flags->tokens, "new tokens at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_flag("--greedy", flags->greedy, "always the likeliest token");
  verb->add_option("--temp", flags->temperature, "temperature; 0 is greedy")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--top-k", flags->topK, "only the k likeliest; 0: off")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--top-p", flags->topP, "smallest set of this probability")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--min-p", flags->minP, "at least this share of the likeliest")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--repeat-penalty", flags->penalty, "divides logits of recent tokens")
      ->check(CLI::PositiveNumber);
  verb->add_option("--seed", flags->seed, "of the random numbers")->capture_default_str();
  verb->add_option("--stop", flags->stop, "a text that ends the output; repeatable");
  verb->add_flag("--ignore-eos", flags->ignoreEos, "go on after end tokens");
  verb->add_flag("--special", flags->parseSpecial, "special tokens in the prompt are tokens");
  verb->add_option("--context", flags->context, "positions of the cache; 0: the model's");
  verb->add_option("--threads", flags->run.threads, "0: one a core")->check(CLI::Range(0, 256));
  verb->add_option("--level", flags->run.level, "force a CPU level, such as x86-64-v3");
  verb->add_option("--output", flags->output, "text, ids or json")
      ->check(CLI::IsMember({"text", "ids", "json"}))
      ->capture_default_str();
  addCheckpointFlags(*verb, flags->run.checkpoint);
  verb->callback([flags, ids, &action] {
    flags->hasIds = ids->count() > 0;
    action = [flags] { return runRun(*flags); };
  });
}

} // namespace tern::cli
