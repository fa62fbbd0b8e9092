//===- Bench.cpp - tern bench ---------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Activity.h"
#include "frontends/cli/BatchBench.h"
#include "frontends/cli/Limits.h"
#include "frontends/cli/Options.h"
#include "frontends/cli/Profile.h"
#include "frontends/cli/Tuning.h"
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
  uint32_t prompt = 512, tokens = 64, repeat = 3, context = 0;
  uint32_t batch = 0; ///< sequences decoded at once; 0: not measured
  bool json = false;
  std::string activity; ///< of a shape; empty: as random weights have it
  std::string profile;  ///< empty: none; else a file, or "-" for none
};

struct BenchResult {
  double prefill = 0, decode = 0; ///< tokens a second, medians
  double batch = 0;               ///< tokens a second of a whole batch
  double decodeInContext = 0;     ///< the same from a context of flags.context tokens
  double rssMb = 0;
  tern_memory_t memory = {};
  MachineLimits limits;
  uint64_t weightsBytes = 0;
  uint64_t decodeBytes = 0; ///< weights read for one token
  double headRows = 0;      ///< logits computed for one token, on average
  double prefillMacs = 0;   ///< ternary multiply-adds for one token
  std::vector<CallProfile> profile;
  bool floats = false; ///< these are on float activations
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
  for (uint32_t round = 0; round < flags.repeat && !ids.empty(); ++round) {
    if (Error error = checkStatus(tern_session_trim(session, 0)))
      return error;
    recorder.begin(tern_session_position(session));
    if (Error error = checkStatus(tern_prefill(session, ids.data(), ids.size())))
      return error;
    recorder.end(ids.size());
  }
  if (!ids.empty())
    out.push_back(recorder.take("prefill"));
  tern_greedy_t greedy = {sizeof(greedy), 0, 0, 0};
  for (uint32_t round = 0; round < flags.repeat; ++round) {
    if (Error error = checkStatus(tern_session_trim(session, 0)))
      return error;
    for (uint32_t i = 0; i < flags.tokens; ++i) {
      recorder.begin(tern_session_position(session));
      const int32_t id = ids.empty() ? 0 : ids[i % ids.size()];
      if (Error error = checkStatus(tern_decode_greedy(session, id, &greedy)))
        return error;
      recorder.end(1, greedy.rows_computed);
    }
  }
  out.push_back(recorder.take("decode"));
  return Error::success();
}

/// Rows of the head that were computed in all.
static Expected<uint64_t> decodeTokens(tern_session_t *session, ArrayRef<int32_t> ids,
                                       uint32_t count) {
  tern_greedy_t greedy = {sizeof(greedy), 0, 0, 0};
  uint64_t computed = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (Error error = checkStatus(
            tern_decode_greedy(session, ids.empty() ? 0 : ids[i % ids.size()], &greedy)))
      return error;
    computed += greedy.rows_computed;
  }
  return computed;
}

/// Fills the first flags.context positions.
static Error fillContext(const BenchFlags &flags, const tern_model_t *model,
                         tern_session_t *session) {
  auto info = modelInfo(model);
  if (!info)
    return info.takeError();
  std::vector<int32_t> ids = promptIds(flags.context, info->vocabulary);
  return checkStatus(tern_prefill(session, ids.data(), ids.size()));
}

/// `inContext`: a session that starts from a context, or NULL.
static Expected<BenchResult> measure(const BenchFlags &flags, const tern_model_t *model,
                                     tern_session_t *session, tern_session_t *inContext,
                                     Recorder *recorder) {
  auto info = modelInfo(model);
  if (!info)
    return info.takeError();
  std::vector<int32_t> ids = promptIds(flags.prompt, info->vocabulary);

  BenchResult result;
  std::vector<double> prefill, decode, decodeInContext;
  double computed = 0;
  if (inContext)
    if (Error error = fillContext(flags, model, inContext))
      return error;
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
    auto rows = decodeTokens(session, ids, flags.tokens);
    if (!rows)
      return rows.takeError();
    computed += static_cast<double>(*rows);
    double decodeSeconds = secondsSince(start);
    // Round by round: the machine's bandwidth changes from one minute to the next.
    if (inContext)
      if (Error error = checkStatus(tern_session_trim(inContext, flags.context)))
        return error;
    start = std::chrono::steady_clock::now();
    if (inContext)
      if (auto rows = decodeTokens(inContext, ids, flags.tokens); !rows)
        return rows.takeError();
    double contextSeconds = secondsSince(start);
    if (round == 0)
      continue; // warms caches and pages
    decodeInContext.push_back(flags.tokens / contextSeconds);
    prefill.push_back(flags.prompt / prefillSeconds);
    decode.push_back(flags.tokens / decodeSeconds);
  }
  result.prefill = median(prefill);
  result.decode = median(decode);
  if (inContext)
    result.decodeInContext = median(decodeInContext);
  result.rssMb = residentMb();
  result.headRows = computed / (flags.tokens * (flags.repeat + 1.0));
  const double rowBytes =
      info->vocabulary ? static_cast<double>(info->screened_bytes) / info->vocabulary : 0;
  result.decodeBytes = info->weights_bytes - info->screened_bytes +
                       static_cast<uint64_t>(result.headRows * rowBytes);
  result.weightsBytes = info->weights_bytes;
  result.memory.struct_size = sizeof result.memory;
  if (Error error = checkStatus(tern_session_memory(session, &result.memory)))
    return error;
  // Each ternary parameter is one multiply-add a token.
  if (recorder)
    if (Error error = profile(flags, *recorder, session, ids, result.profile))
      return error;
  result.prefillMacs = modelCard(model).getNumber("ternary_parameters").value_or(0);
  result.floats = modelCard(model).getString("activations") == "float";
  return result;
}

static json::Object toJson(const tern_memory_t &memory) {
  auto number = [](uint64_t bytes) { return static_cast<int64_t>(bytes); };
  return json::Object{{"weights_bytes", number(memory.weights_bytes)},
                      {"weights_resident", number(memory.weights_resident)},
                      {"weights_huge", number(memory.weights_huge)},
                      {"weights_copied", memory.weights_copied != 0},
                      {"cache_bytes", number(memory.cache_bytes)},
                      {"cache_resident", number(memory.cache_resident)},
                      {"work_bytes", number(memory.work_bytes)},
                      {"work_resident", number(memory.work_resident)}};
}

static void printMemory(const BenchResult &result) {
  const tern_memory_t &memory = result.memory;
  double weights = memory.weights_resident / 1e6, cache = memory.cache_resident / 1e6;
  double work = memory.work_resident / 1e6;
  outs() << format("weights   %8.1f MB, %.1f MB in huge pages, ", result.weightsBytes / 1e6,
                   memory.weights_huge / 1e6)
         << (memory.weights_copied ? "copied" : "in place")
         << format(
                "\nresident  %8.1f MB: weights %.1f, cache %.1f, arena and scratch %.1f, program "
                "and rest %.1f\n",
                result.rssMb, weights, cache, work,
                std::max(0.0, result.rssMb - weights - cache - work));
}

static void print(const BenchFlags &flags, const BenchResult &result, uint32_t threads) {
  double readShare = result.decodeBytes * result.decode / 1e9 / result.limits.readGBs;
  double peak = result.floats ? result.limits.f32GMacs : result.limits.int8GMacs;
  double macShare = result.prefillMacs * result.prefill / 1e9 / peak;
  if (flags.json) {
    json::Object object{{"model", flags.shape.empty() ? flags.run.model : flags.shape},
                        {"prefill_tps", result.prefill},
                        {"decode_tps", result.decode},
                        {"prompt_tokens", static_cast<int64_t>(flags.prompt)},
                        {"decode_tokens", static_cast<int64_t>(flags.tokens)},
                        {"threads", static_cast<int64_t>(threads)},
                        {"rss_mb", result.rssMb},
                        {"memory", toJson(result.memory)},
                        {"weights_bytes", static_cast<int64_t>(result.weightsBytes)},
                        {"decode_bytes", static_cast<int64_t>(result.decodeBytes)},
                        {"head_rows", result.headRows},
                        {"decode_share_of_read", readShare},
                        {"limits", json::Object{{"read_gbs", result.limits.readGBs},
                                                {"int8_gmacs", result.limits.int8GMacs},
                                                {"f32_gmacs", result.limits.f32GMacs}}}};
    if (flags.context) {
      object["context_tokens"] = static_cast<int64_t>(flags.context);
      object["decode_in_context_tps"] = result.decodeInContext;
    }
    if (result.prefillMacs > 0)
      object[result.floats ? "prefill_share_of_f32" : "prefill_share_of_int8"] = macShare;
    if (!result.profile.empty()) {
      json::Object calls;
      for (const CallProfile &call : result.profile)
        calls[call.name] = toJson(call, result.limits);
      object["profile"] = std::move(calls);
    }
    if (flags.batch)
      object["batch"] = json::Object{{"sequences", static_cast<int64_t>(flags.batch)},
                                     {"tps", result.batch},
                                     {"times_one", result.batch / result.decode}};
    outs() << json::Value(std::move(object)) << '\n';
    return;
  }
  outs() << format("threads   %u\n", threads);
  if (!flags.activity.empty())
    outs() << "activity  synthetic: about " << flags.activity
           << " % of gates, of inputs of down; bandwidth below counts all weights\n";
  outs() << format("prefill   %8.1f tokens/s", result.prefill);
  if (result.prefillMacs > 0)
    outs() << format("   %5.1f %% of %.0f G %s multiply-adds/s", macShare * 100, peak,
                     result.floats ? "f32" : "int8");
  outs() << format("\ndecode    %8.1f tokens/s   %5.1f %% of %.1f GB/s read bandwidth\n",
                   result.decode, readShare * 100, result.limits.readGBs);
  if (flags.context)
    outs() << format("at %-6u %8.1f tokens/s   %5.2f x the time of a token at 0\n", flags.context,
                     result.decodeInContext, result.decode / result.decodeInContext);
  if (flags.batch)
    outs() << format("batch %-3u %8.1f tokens/s   %5.2f x one sequence\n", flags.batch,
                     result.batch, result.batch / result.decode);
  outs() << format("reads     %8.1f MB a token, with %.0f rows of the head\n",
                   result.decodeBytes / 1e6, result.headRows);
  printMemory(result);
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
  open.compile.head = headSearch(flags.run.checkpoint);
  auto shapes = tunedShapes(flags.run.tuning);
  if (!shapes)
    return shapes.takeError();
  open.compile.shapes = std::move(*shapes);
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
  Session inContext;
  if (flags.context) {
    auto made = makeSession(model->get(), threads, flags.context + flags.tokens);
    if (!made)
      return made.takeError();
    inContext = std::move(*made);
  }
  auto measured = measure(flags, model->get(), session->get(), inContext.get(),
                          recorder ? &*recorder : nullptr);
  if (!measured)
    return measured.takeError();
  if (flags.batch) {
    auto batch =
        measureBatch(model->get(), session->get(), {flags.batch, flags.tokens, flags.repeat});
    if (!batch)
      return batch.takeError();
    measured->batch = *batch;
  }
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
  verb->add_option("--context", flags->context,
                   "tokens of a context from which decoding is measured too")
      ->check(isCount(1, kMaxTokens));
  verb->add_option("-r,--repeat", flags->repeat, "rounds; medians are shown")
      ->check(isCount(1, 1000))
      ->capture_default_str();
  verb->add_option("--batch", flags->batch, "sequences decoded at once, beside one alone")
      ->check(isCount(1, 1024));
  addPacking(*verb, flags->run.packing);
  addHead(*verb, flags->run.checkpoint);
  addTuning(*verb, flags->run.tuning);
  addSparse(*verb, flags->run.sparse);
  verb->footer("Shapes: " + llvm::join(shapes, ", "));
  addThreads(*verb, flags->run.threads);
  addLoadOptions(*verb, flags->run);
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
  addCacheFlag(*verb, flags->run.checkpoint);
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
