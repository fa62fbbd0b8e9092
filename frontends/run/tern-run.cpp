//===- tern-run.cpp - runs a compiled model, without the compiler ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `tern run` does with a compiled library, for machines that have the runtime alone.
//
//===----------------------------------------------------------------------===//

#include "tern/tern.h"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr char kUsage[] =
    R"(usage: tern-run MODEL.so [options]

  -p, --prompt TEXT    the text to continue
  --ids 1,2,3          token ids instead of text
  -n, --tokens N       new tokens at most (default 128)
  --output text|ids    what to print (default text)
  --temp T             temperature; 0 is greedy (default 0)
  --seed N             of the random numbers (default 0)
  --threads N          0: one a core (default 0)
  --level NAME         a CPU level of the library instead of the best
  --ignore-eos         go on after end tokens
  --self-test          run every kernel this CPU can run against plain C, then stop
)";

struct Options {
  std::string model, prompt, output = "text", level;
  std::vector<int32_t> ids;
  uint32_t tokens = 128, threads = 0;
  uint64_t seed = 0;
  float temperature = 0;
  bool hasPrompt = false, hasIds = false, ignoreEos = false, selfTest = false;
};

[[noreturn]] void wrongUsage(const std::string &text) {
  std::fprintf(stderr, "tern-run: error: %s\n%s", text.c_str(), kUsage);
  std::exit(2);
}

template <typename T> T number(std::string_view option, std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    wrongUsage(std::string(option) + ": expected a number, got '" + std::string(text) + "'");
  return value;
}

/// std::from_chars of floats is missing in some C++ libraries.
template <> float number<float>(std::string_view option, std::string_view text) {
  const std::string copy(text);
  char *end = nullptr;
  float value = std::strtof(copy.c_str(), &end);
  if (copy.empty() || std::isspace(static_cast<unsigned char>(copy[0])) || *end != 0)
    wrongUsage(std::string(option) + ": expected a number, got '" + copy + "'");
  return value;
}

std::vector<int32_t> idList(std::string_view option, std::string_view text) {
  std::vector<int32_t> ids;
  while (true) {
    size_t comma = text.find(',');
    ids.push_back(number<int32_t>(option, text.substr(0, comma)));
    if (comma == std::string_view::npos)
      return ids;
    text.remove_prefix(comma + 1);
  }
}

/// One option that takes a value.
void takeValue(Options &options, std::string_view option, std::string_view value) {
  if (option == "-p" || option == "--prompt") {
    options.prompt = value;
    options.hasPrompt = true;
  } else if (option == "--ids") {
    options.ids = idList(option, value);
    options.hasIds = true;
  } else if (option == "-n" || option == "--tokens") {
    options.tokens = number<uint32_t>(option, value);
  } else if (option == "--output") {
    if (value != "text" && value != "ids")
      wrongUsage("--output: expected text or ids, got '" + std::string(value) + "'");
    options.output = value;
  } else if (option == "--temp") {
    options.temperature = number<float>(option, value);
  } else if (option == "--seed") {
    options.seed = number<uint64_t>(option, value);
  } else if (option == "--threads") {
    options.threads = number<uint32_t>(option, value);
  } else if (option == "--level") {
    options.level = value;
  } else {
    wrongUsage("unknown option " + std::string(option));
  }
}

Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string_view text = argv[i];
    if (text == "-h" || text == "--help") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (text == "--version") {
      std::printf("tern-run %s\n", tern_version());
      std::exit(0);
    }
    if (text == "--ignore-eos") {
      options.ignoreEos = true;
    } else if (text == "--self-test") {
      options.selfTest = true;
    } else if (text.starts_with("-")) {
      if (i + 1 == argc)
        wrongUsage(std::string(text) + " needs a value");
      takeValue(options, text, argv[++i]);
    } else if (options.model.empty()) {
      options.model = text;
    } else {
      wrongUsage("unexpected '" + std::string(text) + "'");
    }
  }
  if (options.model.empty())
    wrongUsage("expected a compiled model");
  if (!options.selfTest && options.hasPrompt == options.hasIds)
    wrongUsage("expected either --prompt or --ids");
  return options;
}

struct Closer {
  void operator()(tern_model_t *model) const { tern_model_close(model); }
  void operator()(tern_session_t *session) const { tern_session_destroy(session); }
};
using Model = std::unique_ptr<tern_model_t, Closer>;
using Session = std::unique_ptr<tern_session_t, Closer>;

/// Prints what failed; the exit code.
int failed() {
  std::fprintf(stderr, "tern-run: error: %s\n", tern_error_message());
  return 1;
}

struct Stream {
  bool ids = false;
  size_t count = 0;
};

int onToken(void *context, const char *text, size_t bytes, int32_t id) {
  auto &stream = *static_cast<Stream *>(context);
  if (id >= 0 && stream.ids)
    std::printf("%s%d", stream.count == 0 ? "" : " ", id);
  if (id >= 0)
    ++stream.count;
  if (!stream.ids)
    std::fwrite(text, 1, bytes, stdout);
  return std::fflush(stdout) != 0;
}

int selfTest(const tern_model_t *model) {
  auto print = [](void *, const char *line) { std::printf("%s\n", line); };
  return tern_model_self_test(model, print, nullptr) ? failed() : 0;
}

int generate(const Options &options, tern_model_t *model) {
  tern_session_options_t sizes = {};
  sizes.struct_size = sizeof sizes;
  sizes.threads = options.threads;
  tern_session_t *created = nullptr;
  if (tern_session_create(model, &sizes, &created))
    return failed();
  Session session(created);
  tern_generate_options_t how = {};
  how.struct_size = sizeof how;
  how.max_tokens = options.tokens;
  how.ignore_eos = options.ignoreEos;
  how.sampler.struct_size = sizeof how.sampler;
  how.sampler.temperature = options.temperature;
  how.sampler.top_p = 1;
  how.sampler.repetition_penalty = 1;
  how.sampler.seed = options.seed;
  Stream stream{options.output == "ids"};
  tern_status_t status =
      options.hasIds ? tern_generate_ids(session.get(), options.ids.data(), options.ids.size(),
                                         &how, onToken, &stream)
                     : tern_generate(session.get(), options.prompt.c_str(), &how, onToken, &stream);
  std::printf("\n");
  // A full cache ends the text; it is no failure once there is some.
  if (status && !(status == TERN_STATUS_CONTEXT_FULL && stream.count > 0))
    return failed();
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  Options options = parse(argc, argv);
  tern_open_options_t how = {};
  how.struct_size = sizeof how;
  how.level = options.level.empty() ? nullptr : options.level.c_str();
  tern_model_t *opened = nullptr;
  if (tern_model_open(options.model.c_str(), &how, &opened))
    return failed();
  Model model(opened);
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  if (tern_model_get_info(model.get(), &info))
    return failed();
  std::fprintf(stderr, "level %s\n", info.level);
  return options.selfTest ? selfTest(model.get()) : generate(options, model.get());
}
