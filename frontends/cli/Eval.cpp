//===- Eval.cpp - tern eval -----------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>
#include <cmath>

using namespace llvm;

namespace tern::cli {

namespace {
struct EvalFlags {
  RunOptions run;
  std::string text, ids;
  uint32_t window = 0;
  bool json = false;
};
} // namespace

/// -log softmax(logits)[id] in binary64.
static double negativeLogLikelihood(ArrayRef<float> logits, int32_t id) {
  double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (float value : logits)
    total += std::exp(value - largest);
  return std::log(total) + largest - logits[id];
}

static Expected<std::vector<int32_t>> evalIds(const EvalFlags &flags, const tern_model_t *model) {
  if (!flags.ids.empty()) {
    auto contents = readTextFile(flags.ids);
    if (!contents)
      return contents.takeError();
    for (char &c : *contents)
      if (isspace(static_cast<unsigned char>(c)))
        c = ',';
    SmallVector<StringRef> parts;
    StringRef(*contents).split(parts, ',', -1, /*KeepEmpty=*/false);
    return parseIds(join(parts, ","));
  }
  auto text = readTextFile(flags.text);
  if (!text)
    return text.takeError();
  return tokenize(model, *text, TERN_TOKENIZE_ADD_BOS);
}

static Error runEval(const EvalFlags &flags) {
  if (flags.text.empty() && flags.ids.empty())
    return makeError("expected --text FILE or --ids FILE");
  auto model = openForRunning(flags.run);
  if (!model)
    return model.takeError();
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  if (Error error = checkStatus(tern_model_get_info(model->get(), &info)))
    return error;
  auto ids = evalIds(flags, model->get());
  if (!ids)
    return ids.takeError();
  for (int32_t id : *ids)
    if (static_cast<uint32_t>(id) >= info.vocabulary)
      return makeError("expected ids below the vocabulary " + Twine(info.vocabulary) + ", got " +
                       Twine(id));
  uint32_t window = flags.window ? flags.window : std::min(info.max_positions, 4096u);
  if (window < 2 || ids->size() < 2)
    return makeError("expected at least two tokens to predict one, got " + Twine(ids->size()) +
                     " in windows of " + Twine(window));
  auto session = makeSession(model->get(), flags.run.threads, window);
  if (!session)
    return session.takeError();

  // Each window of tokens runs alone from position 0; its first token is not predicted. A last
  // window of one token has nothing to predict.
  Progress progress;
  double total = 0;
  size_t predicted = 0;
  std::vector<float> logits;
  for (size_t begin = 0; begin + 1 < ids->size(); begin += window) {
    progress.show("evaluating", static_cast<double>(begin) / ids->size());
    size_t count = std::min<size_t>(window, ids->size() - begin);
    logits.resize(count * info.vocabulary);
    if (Error error = checkStatus(tern_session_trim(session->get(), 0)))
      return error;
    if (Error error = checkStatus(tern_prefill_logits(session->get(), ids->data() + begin, count,
                                                      logits.data(), logits.size())))
      return error;
    for (size_t i = 0; i + 1 < count; ++i) {
      ArrayRef<float> row(logits.data() + i * info.vocabulary, info.vocabulary);
      total += negativeLogLikelihood(row, (*ids)[begin + i + 1]);
      ++predicted;
    }
  }
  progress.show("evaluating", 1);
  double mean = total / predicted;
  if (flags.json)
    outs() << json::Value(json::Object{{"tokens", static_cast<int64_t>(predicted)},
                                       {"window", static_cast<int64_t>(window)},
                                       {"mean_nll", mean},
                                       {"perplexity", std::exp(mean)}})
           << '\n';
  else
    outs() << format("tokens predicted  %zu\nmean NLL          %.5f\nperplexity        %.4f\n",
                     predicted, mean, std::exp(mean));
  return Error::success();
}

void addEval(CLI::App &app, Action &action) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App *verb = app.add_subcommand("eval", "perplexity and mean loss over a text");
  verb->add_option("model", flags->run.model, "checkpoint or library")->required();
  auto *text = verb->add_option("--text", flags->text, "the text's file; - is stdin");
  verb->add_option("--ids", flags->ids, "a file of token ids instead")->excludes(text);
  verb->add_option("--window", flags->window,
                   "tokens a window, each from position 0; 0: the model's context");
  verb->add_flag("--json", flags->json, "print JSON");
  verb->add_option("--threads", flags->run.threads, "0: one a core")->check(CLI::Range(0, 256));
  verb->add_option("--level", flags->run.level, "force a CPU level, such as x86-64-v3");
  addCheckpointFlags(*verb, flags->run.checkpoint);
  verb->callback([flags, &action] { action = [flags] { return runEval(*flags); }; });
}

} // namespace tern::cli
