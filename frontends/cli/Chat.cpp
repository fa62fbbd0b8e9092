//===- Chat.cpp - tern chat -----------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/ChatTemplate.h"
#include "frontends/cli/Options.h"
#include "frontends/cli/Verbs.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <csignal>
#include <optional>
#include <unistd.h>

using namespace llvm;

namespace tern::cli {

namespace {
struct ChatFlags {
  RunOptions run;
  std::string form, system;
  bool noThinking = false, greedy = false;
  uint32_t tokens = 0, context = 0;
  float temperature = 0.7f, topP = 0.9f;
  uint64_t seed = 0;
};

volatile std::sig_atomic_t interrupted = 0;

/// Ctrl-C sets a flag while this lives: an answer ends, and so does waiting for a line.
class InterruptGuard {
public:
  InterruptGuard() {
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = 1; };
    // Without SA_RESTART: a read that waits for a line returns.
    sigaction(SIGINT, &action, &before);
  }
  ~InterruptGuard() { sigaction(SIGINT, &before, nullptr); }

private:
  struct sigaction before;
};

/// Lines of stdin. Nothing at its end, and when Ctrl-C is pressed while waiting.
class Lines {
public:
  std::optional<std::string> next() {
    interrupted = 0;
    size_t end;
    while ((end = buffer.find('\n')) == std::string::npos) {
      char bytes[4096];
      ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
      if (count < 0 && errno == EINTR && !interrupted)
        continue;
      if (count <= 0) {
        if (buffer.empty() || interrupted)
          return std::nullopt;
        return std::exchange(buffer, "");
      }
      buffer.append(bytes, static_cast<size_t>(count));
    }
    std::string line = buffer.substr(0, end);
    buffer.erase(0, end + 1);
    return line;
  }

private:
  std::string buffer;
};

/// The answer while it comes.
struct Answer {
  std::string text;
  std::vector<int32_t> ids, ends;
  bool ended = false;
};

/// A conversation and the session that has read it.
class Chat {
public:
  Chat(const ChatFlags &flags, tern_model_t *model, const ChatTemplate &form, Session session,
       uint32_t positions)
      : flags(flags), model(model), form(form), session(std::move(session)), positions(positions) {}

  Error start();
  /// False where the conversation no longer fits; the message is then forgotten.
  Expected<bool> say(std::string text);
  void clear();

private:
  Expected<std::vector<int32_t>> promptIds();
  Expected<std::optional<int32_t>> special(StringRef text);
  Error generate(ArrayRef<int32_t> ids, Answer &answer);

  const ChatFlags &flags;
  tern_model_t *model;
  const ChatTemplate &form;
  Session session;
  uint32_t positions;
  std::vector<ChatMessage> messages;
  std::vector<int32_t> read; ///< ids that the session has
  std::vector<int32_t> ends;
  StringSet<> warned;
};
} // namespace

/// The token that `text` is, where it is one.
Expected<std::optional<int32_t>> Chat::special(StringRef text) {
  auto ids = tokenize(model, text, TERN_TOKENIZE_PARSE_SPECIAL);
  if (!ids)
    return ids.takeError();
  if (ids->size() == 1)
    return std::optional<int32_t>(ids->front());
  return std::nullopt;
}

Error Chat::start() {
  for (StringRef text : form.ends) {
    auto id = special(text);
    if (!id)
      return id.takeError();
    if (*id)
      ends.push_back(**id);
  }
  clear();
  return Error::success();
}

void Chat::clear() {
  messages.clear();
  if (!flags.system.empty())
    messages.push_back({Role::System, flags.system});
}

Expected<std::vector<int32_t>> Chat::promptIds() {
  // What the tokenizer puts before a text.
  auto ids = tokenize(model, "", TERN_TOKENIZE_ADD_BOS);
  if (!ids)
    return ids.takeError();
  std::string text;
  auto flush = [&]() -> Error {
    auto more = tokenize(model, text, 0);
    if (!more)
      return more.takeError();
    ids->insert(ids->end(), more->begin(), more->end());
    text.clear();
    return Error::success();
  };
  for (const ChatPiece &piece : form.render(messages, !flags.noThinking)) {
    std::optional<int32_t> id;
    if (piece.special) {
      auto found = special(piece.text);
      if (!found)
        return found.takeError();
      id = *found;
      if (!id && warned.insert(piece.text).second)
        errs() << "warning: the vocabulary has no token " << piece.text << " of template "
               << form.name << "; it is written out as text\n";
    }
    if (!id) {
      text += piece.text;
      continue;
    }
    if (Error error = flush())
      return std::move(error);
    ids->push_back(*id);
  }
  if (Error error = flush())
    return std::move(error);
  return ids;
}

static int onToken(void *context, const char *text, size_t bytes, int32_t id) {
  auto &answer = *static_cast<Answer *>(context);
  if (id >= 0)
    answer.ids.push_back(id);
  if (id >= 0 && is_contained(answer.ends, id)) {
    answer.ended = true;
    return 1;
  }
  answer.text.append(text, bytes);
  outs().write(text, bytes);
  outs().flush();
  return interrupted;
}

Error Chat::generate(ArrayRef<int32_t> ids, Answer &answer) {
  std::vector<const char *> stops;
  for (StringRef stop : form.stops)
    stops.push_back(stop.data());
  tern_generate_options_t options = {};
  options.struct_size = sizeof options;
  options.max_tokens = flags.tokens;
  options.stop = stops.data();
  options.stop_count = stops.size();
  options.sampler.struct_size = sizeof options.sampler;
  options.sampler.temperature = flags.greedy ? 0 : flags.temperature;
  options.sampler.top_p = flags.topP;
  options.sampler.seed = flags.seed;
  tern_status_t status =
      tern_generate_ids(session.get(), ids.data(), ids.size(), &options, onToken, &answer);
  if (status == TERN_STATUS_CONTEXT_FULL) {
    errs() << "\nwarning: the context of " << positions << " positions is full, the answer is cut";
    return Error::success();
  }
  // Ctrl-C, or a token that ends an answer.
  return status == TERN_STATUS_CANCELLED ? Error::success() : checkStatus(status);
}

Expected<bool> Chat::say(std::string text) {
  messages.push_back({Role::User, std::move(text)});
  auto ids = promptIds();
  if (!ids)
    return ids.takeError();
  if (ids->size() >= positions) {
    messages.pop_back();
    errs() << "the conversation needs " << ids->size() << " of " << positions
           << " positions: /clear begins a new one, --context makes room\n";
    return false;
  }
  // What the session has read already need not be read again; its last id must be, for its logits.
  size_t same = 0;
  while (same < read.size() && same + 1 < ids->size() && read[same] == (*ids)[same])
    ++same;
  if (Error error = checkStatus(tern_session_trim(session.get(), same)))
    return std::move(error);
  Answer answer;
  answer.ends = ends;
  Error error = generate(ArrayRef(*ids).drop_front(same), answer);
  outs() << '\n';
  outs().flush();
  read = std::move(*ids);
  read.insert(read.end(), answer.ids.begin(), answer.ids.end());
  read.resize(std::min<size_t>(read.size(), tern_session_position(session.get())));
  if (error)
    return std::move(error);
  messages.push_back({Role::Assistant, std::move(answer.text)});
  return true;
}

static Expected<const ChatTemplate *> chooseTemplate(const ChatFlags &flags,
                                                     const tern_model_t *model) {
  if (!flags.form.empty())
    return findChatTemplate(flags.form);
  const char *card = tern_model_card(model);
  auto value = json::parse(card && *card ? card : "{}");
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  return recogniseChatTemplate(object ? object->getString("chat_template").value_or("") : "");
}

static Error talk(Chat &chat, bool terminal) {
  InterruptGuard guard;
  Lines lines;
  if (terminal)
    errs() << "/clear begins anew, /quit or Ctrl-D ends; Ctrl-C stops an answer, or ends where "
              "there is none\n";
  while (true) {
    if (terminal)
      errs() << "> ";
    std::optional<std::string> line = lines.next();
    if (!line || *line == "/quit")
      break;
    if (*line == "/clear") {
      chat.clear();
      continue;
    }
    if (StringRef(*line).trim().empty())
      continue;
    Expected<bool> said = chat.say(std::move(*line));
    if (!said)
      return said.takeError();
    if (!*said && !terminal)
      return makeError("the context is full");
  }
  if (terminal)
    errs() << '\n';
  return Error::success();
}

static Error runChat(const ChatFlags &flags) {
  if (!flags.form.empty())
    if (auto form = findChatTemplate(flags.form); !form)
      return form.takeError();
  auto model = openForRunning(flags.run);
  if (!model)
    return model.takeError();
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  if (Error error = checkStatus(tern_model_get_info(model->get(), &info)))
    return error;
  if (!info.has_tokenizer)
    return makeError("the model has no tokenizer, so nobody can talk to it");
  auto form = chooseTemplate(flags, model->get());
  if (!form)
    return form.takeError();
  constexpr uint32_t kUsualPositions = 4096; // as sessions choose
  uint32_t positions =
      flags.context ? flags.context : std::min(info.max_positions, kUsualPositions);
  auto session = makeSession(model->get(), flags.run.threads, positions);
  if (!session)
    return session.takeError();
  Chat chat(flags, model->get(), **form, std::move(*session), positions);
  if (Error error = chat.start())
    return error;
  return talk(chat, isatty(STDIN_FILENO));
}

void addChat(CLI::App &app, Action &action) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App *verb = app.add_subcommand("chat", "talk to a model, a line a turn");
  verb->add_option("model", flags->run.model, "checkpoint (compiled in memory) or library")
      ->required();
  verb->add_option("--template", flags->form,
                   "form of the conversation instead of the model's own: " + chatTemplateNames());
  verb->add_option("--system", flags->system, "what the model is told first");
  verb->add_flag("--no-thinking", flags->noThinking,
                 "answers without thoughts, where that is a choice");
  verb->add_option("-n,--tokens", flags->tokens, "tokens of an answer at most; 0: no limit");
  verb->add_flag("--greedy", flags->greedy, "always the likeliest token");
  verb->add_option("--temp", flags->temperature, "temperature; 0 is greedy")
      ->check(isNumber(0.0, 100.0))
      ->capture_default_str();
  verb->add_option("--top-p", flags->topP, "smallest set of this probability")
      ->check(isNumber(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--seed", flags->seed, "of the random numbers")->capture_default_str();
  verb->add_option("--context", flags->context, "positions of the cache; 0: the model's");
  verb->add_option("--threads", flags->run.threads, "0: one a core")->check(isCount(0, 256));
  verb->add_option("--level", flags->run.level, "force a CPU level, such as x86-64-v3");
  addCheckpointFlags(*verb, flags->run.checkpoint);
  addCacheFlag(*verb, flags->run.checkpoint);
  verb->callback([flags, &action] { action = [flags] { return runChat(*flags); }; });
}

} // namespace tern::cli
