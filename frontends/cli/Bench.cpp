//===- Bench.cpp - tern bench ---------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Activity.h"
#include "frontends/cli/Limits.h"
#include "frontends/cli/Options.h"
#include "frontends/cli/Profile.h"
#include "frontends/cli/Verbs.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <sys/resource.h>
#include <thread>

using namespace llvm;

namespace tern::cli {

namespace {
struct BenchFlags {
  RunOptions run;
  std::string shape;
  uint32_t prompt = 512, tokens = 64, repeat = 3;
  bool json = false;
  std::string activity; ///< of a shape; empty: as random weights have it
  std::string profile;  ///< empty: none; else a file, or "-" for none
};

struct BenchResult {
  double prefill = 0, decode = 0; ///< tokens a second, medians
  double rssMb = 0;
  MachineLimits limits;
  uint64_t decodeBytes = 0; ///< weights read for one token
  double prefillMacs = 0;   ///< ternary multiply-adds for one token
  std::vector<CallProfile> profile;
};
} // namespace

static double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The largest resident size so far is not the current one: that stands in /proc.
static double residentMb() {
  auto text = MemoryBuffer::getFileAsStream("/proc/self/status");
  if (!text)
    return 0;
  size_t at = (*text)->getBuffer().find("VmRSS:");
  if (at == StringRef::npos)
    return 0;
  uint64_t kilobytes = 0;
  (*text)->getBuffer().substr(at + 6).ltrim().consumeInteger(10, kilobytes);
  return kilobytes * 1024 / 1e6;
}

static std::vector<int32_t> promptIds(uint32_t count, uint32_t vocabulary) {
  std::vector<int32_t> ids(count);
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>((i * 7919 + 13) % vocabulary);
  return ids;
}

/// As many rounds as `measure`, with its prompt and its tokens.
static Error profile(const BenchFlags &flags, Recorder &recorder, tern_session_t *session,
                     ArrayRef<int32_t> ids, std::vector<CallProfile> &out) {
  auto timed = [&](uint64_t tokens, auto call) -> Error {
    recorder.begin(tern_session_position(session));
    Error error = checkStatus(call());
    recorder.end(tokens);
    return error;
  };
  for (uint32_t round = 0; round < flags.repeat && !ids.empty(); ++round) {
    if (Error error = checkStatus(tern_session_trim(session, 0)))
      return error;
    if (Error error =
            timed(ids.size(), [&] { return tern_prefill(session, ids.data(), ids.size()); }))
      return error;
  }
  if (!ids.empty())
    out.push_back(recorder.take("prefill"));
  for (uint32_t round = 0; round < flags.repeat; ++round) {
    if (Error error = checkStatus(tern_session_trim(session, 0)))
      return error;
    for (uint32_t i = 0; i < flags.tokens; ++i)
      if (Error error =
              timed(1, [&] { return tern_decode(session, ids.empty() ? 0 : ids[i % ids.size()]); }))
        return error;
  }
  out.push_back(recorder.take("decode"));
  return Error::success();
}

static Expected<BenchResult> measure(const BenchFlags &flags, const tern_model_t *model,
                                     tern_session_t *session, Recorder *recorder) {
  auto info = modelInfo(model);
  if (!info)
    return info.takeError();
  std::vector<int32_t> ids = promptIds(flags.prompt, info->vocabulary);

  BenchResult result;
  std::vector<double> prefill, decode;
  for (uint32_t round = 0; round <= flags.repeat; ++round) {
    if (Error error = checkStatus(tern_session_trim(session, 0)))
      return error;
    auto start = std::chrono::steady_clock::now();
    if (flags.prompt)
      if (Error error = checkStatus(tern_prefill(session, ids.data(), ids.size())))
        return error;
    double prefillSeconds = secondsSince(start);
    // Decoding is timed from an empty context, as other engines report it.
    if (Error error = checkStatus(tern_session_trim(session, 0)))
      return error;
    start = std::chrono::steady_clock::now();
    for (uint32_t i = 0; i < flags.tokens; ++i)
      if (Error error = checkStatus(tern_decode(session, ids.empty() ? 0 : ids[i % ids.size()])))
        return error;
    double decodeSeconds = secondsSince(start);
    if (round == 0)
      continue; // warms caches and pages
    prefill.push_back(flags.prompt / prefillSeconds);
    decode.push_back(flags.tokens / decodeSeconds);
  }
  result.prefill = median(prefill);
  result.decode = median(decode);
  result.rssMb = residentMb();
  result.decodeBytes = info->weights_bytes;
  // Each ternary parameter is one multiply-add a token.
  if (recorder)
    if (Error error = profile(flags, *recorder, session, ids, result.profile))
      return error;
  result.prefillMacs = modelCard(model).getNumber("ternary_parameters").value_or(0);
  return result;
}

static void print(const BenchFlags &flags, const BenchResult &result, uint32_t threads) {
  double readShare = result.decodeBytes * result.decode / 1e9 / result.limits.readGBs;
  double macShare = result.prefillMacs * result.prefill / 1e9 / result.limits.int8GMacs;
  if (flags.json) {
    json::Object object{{"model", flags.shape.empty() ? flags.run.model : flags.shape},
                        {"prefill_tps", result.prefill},
                        {"decode_tps", result.decode},
                        {"prompt_tokens", static_cast<int64_t>(flags.prompt)},
                        {"decode_tokens", static_cast<int64_t>(flags.tokens)},
                        {"threads", static_cast<int64_t>(threads)},
                        {"rss_mb", result.rssMb},
                        {"weights_bytes", static_cast<int64_t>(result.decodeBytes)},
                        {"decode_share_of_read", readShare},
                        {"limits", json::Object{{"read_gbs", result.limits.readGBs},
                                                {"int8_gmacs", result.limits.int8GMacs}}}};
    if (result.prefillMacs > 0)
      object["prefill_share_of_int8"] = macShare;
    if (!result.profile.empty()) {
      json::Object calls;
      for (const CallProfile &call : result.profile)
        calls[call.name] = toJson(call, result.limits);
      object["profile"] = std::move(calls);
    }
    outs() << json::Value(std::move(object)) << '\n';
    return;
  }
  outs() << format("threads   %u\n", threads);
  if (!flags.activity.empty())
    outs() << "activity  synthetic: about " << flags.activity
           << " % of gates, of inputs of down; bandwidth below counts all weights\n";
  outs() << format("prefill   %8.1f tokens/s", result.prefill);
  if (result.prefillMacs > 0)
    outs() << format("   %5.1f %% of %.0f G int8 multiply-adds/s", macShare * 100,
                     result.limits.int8GMacs);
  outs() << format("\ndecode    %8.1f tokens/s   %5.1f %% of %.1f GB/s read bandwidth\n",
                   result.decode, readShare * 100, result.limits.readGBs)
         << format("weights   %8.1f MB\nresident  %8.1f MB\n", result.decodeBytes / 1e6,
                   result.rssMb);
  for (const CallProfile &call : result.profile)
    printTable(call, result.limits, threads, outs());
}

/// A model of the named shape with random weights, compiled into this process.
static Expected<RunningModel> openShape(const BenchFlags &flags) {
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  import::ImportOptions options = importOptions(flags.run.checkpoint);
  if (!flags.activity.empty())
    options.activity = cantFail(parseActivity(flags.activity));
  auto imported = import::syntheticModel(context, flags.shape, options);
  if (!imported)
    return imported.takeError();
  OpenOptions open;
  Progress progress;
  open.level = flags.run.level;
  open.compile.probes = flags.run.probes;
  open.compile.packing = flags.run.packing;
  open.compile.sparse = flags.run.sparse;
  open.compile.progress = [&](StringRef stage, double fraction) { progress.show(stage, fraction); };
  open.compile.configurePasses = configurePasses;
  auto targets = parseTargets(flags.run.level.empty() ? "host" : flags.run.level);
  if (!targets)
    return targets.takeError();
  open.compile.targets = *targets;
  return RunningModel::compile(*imported, open);
}

static Error runBench(const BenchFlags &flags) {
  auto model = flags.shape.empty() ? openForRunning(flags.run) : openShape(flags);
  if (!model)
    return model.takeError();
  uint32_t positions = std::max({flags.prompt, flags.tokens, 1u});
  uint32_t threads =
      flags.run.threads ? flags.run.threads : std::max(1u, std::thread::hardware_concurrency());
  std::optional<Recorder> recorder;
  if (flags.run.probes) {
    if (model->probes().empty())
      return makeError(flags.run.model + ": --profile needs a checkpoint, which is compiled with "
                                         "probes; a library has none");
    recorder.emplace(model->probes(), threads);
  }
  auto session = makeSession(model->get(), threads, positions);
  if (!session)
    return session.takeError();
  if (recorder)
    if (Error error =
            checkStatus(tern_session_set_probe(session->get(), Recorder::record, &*recorder)))
      return error;
  auto measured = measure(flags, model->get(), session->get(), recorder ? &*recorder : nullptr);
  if (!measured)
    return measured.takeError();
  measured->limits = measureLimits(threads);
  print(flags, *measured, threads);
  if (!recorder || flags.profile == "-")
    return Error::success();
  return writeFile(flags.profile, htmlPage(flags.shape.empty() ? flags.run.model : flags.shape,
                                           measured->profile, measured->limits, threads));
}

static CLI::Validator isActivity() {
  return {[](std::string &text) {
            auto activity = parseActivity(text);
            return activity ? "" : toString(activity.takeError());
          },
          ""};
}

void addBench(CLI::App &app, Action &action) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App *verb = app.add_subcommand("bench", "speed, beside what this machine can do at most");
  std::vector<std::string> shapes;
  for (StringRef shape : import::syntheticShapes())
    shapes.push_back(shape.str());
  auto *model = verb->add_option("model", flags->run.model, "checkpoint or library");
  auto *shape =
      verb->add_option("--shape", flags->shape, "instead, random weights in a known shape")
          ->check(CLI::IsMember(shapes).description(""))
          ->excludes(model);
  verb->add_option("-p,--prompt", flags->prompt, "tokens of the prompt")
      ->check(isCount(0, kMaxTokens))
      ->capture_default_str();
  verb->add_option("-n,--tokens", flags->tokens, "tokens decoded, from an empty context")
      ->check(isCount(1, kMaxTokens))
      ->capture_default_str();
  verb->add_option("-r,--repeat", flags->repeat, "rounds; medians are shown")
      ->check(isCount(1, 1000))
      ->capture_default_str();
  verb->add_option("--packing", flags->run.packing, "two_bit or base3, unless a library is given")
      ->check(CLI::IsMember({"two_bit", "base3"}));
  addSparse(*verb, flags->run.sparse);
  verb->footer("Shapes: " + llvm::join(shapes, ", "));
  addThreads(*verb, flags->run.threads);
  verb->add_option("--level", flags->run.level, "force a CPU level, such as x86-64-v3")
      ->check(isCpuLevel());
  verb->add_option("--activity", flags->activity,
                   "of a shape with ReLU-squared gates: per cent of open gates, of inputs of down")
      ->check(isActivity())
      ->needs(shape);
  verb->add_flag("--json", flags->json, "print JSON");
  verb->add_flag("--profile{-}", flags->profile,
                 "also say where the time goes, op by op; --profile=FILE.html writes a page too");
  addCheckpointFlags(*verb, flags->run.checkpoint);
  verb->callback([flags, model, shape, &action] {
    if (model->count() + shape->count() == 0)
      throw CLI::RequiredError("a model or --shape");
    flags->run.probes = !flags->profile.empty();
    if (flags->run.probes && flags->profile != "-" && !StringRef(flags->profile).ends_with(".html"))
      throw CLI::ValidationError("--profile: expected a file name that ends in .html, got " +
                                 flags->profile);
    action = [flags] { return runBench(*flags); };
  });
}

} // namespace tern::cli
