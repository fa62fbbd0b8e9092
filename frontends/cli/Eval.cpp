//===- Eval.cpp - tern eval -----------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Activity.h"
#include "frontends/cli/Options.h"
#include "frontends/cli/Verbs.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace llvm;

namespace tern::cli {

namespace {
struct EvalFlags {
  RunOptions run;
  std::string text, ids;
  uint32_t window = 0;
  bool json = false, activity = false;
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

static Error checkIds(ArrayRef<int32_t> ids, uint32_t vocabulary, uint32_t window) {
  for (auto [index, id] : enumerate(ids))
    if (static_cast<uint32_t>(id) >= vocabulary)
      return makeError("expected ids below the vocabulary " + Twine(vocabulary) + ", got " +
                       Twine(id) + " as entry " + Twine(index + 1));
  if (window < 2 || ids.size() < 2)
    return makeError("expected at least two tokens to predict one, got " + Twine(ids.size()) +
                     " in windows of " + Twine(window));
  return Error::success();
}

namespace {
struct Loss {
  double total = 0;
  size_t predicted = 0;
};
} // namespace

/// Adds the loss of `window`, from position 0; its first token is not predicted. Logits are kept
/// for one call's tokens at a time: a row of them is as long as the vocabulary.
static Error addWindow(tern_session_t *session, ArrayRef<int32_t> window,
                       const tern_model_info_t &info, Loss &loss) {
  if (Error error = checkStatus(tern_session_trim(session, 0)))
    return error;
  std::vector<float> logits;
  for (size_t begin = 0; begin + 1 < window.size(); begin += info.max_rows) {
    size_t count = std::min<size_t>(info.max_rows, window.size() - 1 - begin);
    logits.resize(count * info.vocabulary);
    if (Error error = checkStatus(tern_prefill_logits(session, window.data() + begin, count,
                                                      logits.data(), logits.size())))
      return error;
    for (size_t i = 0; i < count; ++i) {
      ArrayRef<float> row(logits.data() + i * info.vocabulary, info.vocabulary);
      loss.total += negativeLogLikelihood(row, window[begin + i + 1]);
    }
    loss.predicted += count;
  }
  return Error::success();
}

/// Tokens that --activity looks at.
constexpr uint32_t kActivityTokens = 64;

static void printLoss(const EvalFlags &flags, const Loss &loss, uint32_t window) {
  double mean = loss.total / loss.predicted;
  if (flags.json)
    outs() << json::Value(json::Object{{"tokens", static_cast<int64_t>(loss.predicted)},
                                       {"window", static_cast<int64_t>(window)},
                                       {"mean_nll", mean},
                                       {"perplexity", std::exp(mean)}})
           << '\n';
  else
    outs() << format("tokens predicted  %zu\nmean NLL          %.5f\nperplexity        %.4f\n",
                     loss.predicted, mean, std::exp(mean));
}

static Error runEval(const EvalFlags &flags) {
  auto model = openForRunning(flags.run);
  if (!model)
    return model.takeError();
  auto info = modelInfo(model->get());
  if (!info)
    return info.takeError();
  auto ids = evalIds(flags, model->get());
  if (!ids)
    return ids.takeError();
  uint32_t window = flags.window ? flags.window : std::min(info->max_positions, 4096u);
  if (Error error = checkIds(*ids, info->vocabulary, window))
    return error;
  auto session = makeSession(model->get(), flags.run.threads, window);
  if (!session)
    return session.takeError();
  Progress progress;
  Loss loss;
  for (size_t begin = 0; begin + 1 < ids->size(); begin += window) {
    progress.show("evaluating", static_cast<double>(begin) / ids->size());
    ArrayRef<int32_t> tokens = ArrayRef(*ids).slice(begin).take_front(window);
    if (Error error = addWindow(session->get(), tokens, *info, loss))
      return error;
  }
  progress.show("evaluating", 1);
  printLoss(flags, loss, window);
  if (!flags.activity)
    return Error::success();
  // The interpreter is slow, and a few tokens tell.
  ArrayRef<int32_t> first = ArrayRef(*ids).take_front(std::min(window, kActivityTokens));
  auto layers = measureActivity(flags.run.model, flags.run.checkpoint, first);
  if (!layers)
    return layers.takeError();
  printActivity(*layers, first.size());
  return Error::success();
}

void addEval(CLI::App &app, Action &action) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App *verb = app.add_subcommand("eval", "perplexity and mean loss over a text");
  addRunOptions(*verb, flags->run);
  auto *text = verb->add_option("--text", flags->text, "the text's file; - is stdin");
  auto *ids = verb->add_option("--ids", flags->ids, "a file of token ids instead");
  ids->excludes(text);
  verb->add_option("--window", flags->window,
                   "tokens a window, each from position 0; 0: the model's context")
      ->check(isCount(0, kMaxTokens));
  verb->add_flag("--json", flags->json, "print JSON");
  auto *asJson = verb->get_option("--json");
  verb->add_flag("--activity", flags->activity,
                 "also say, for each ReLU-squared layer, how much of it is not zero")
      ->excludes(asJson);
  verb->callback([flags, text, ids, &action] {
    if (text->count() + ids->count() == 0)
      throw CLI::RequiredError("one of --text, --ids");
    action = [flags] { return runEval(*flags); };
  });
}

} // namespace tern::cli
