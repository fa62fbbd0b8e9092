//===- Library.cpp - code and payload of a compiled model -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Library.h"

#if defined(__APPLE__)
#include "runtime/MachO.h"
#else
#include "runtime/Elf.h"
#include <link.h>
#endif

#include <cinttypes>
#include <cstring>
#include <dlfcn.h>
#include <iterator>

using namespace tern;

#if defined(__APPLE__)
static constexpr char kPayloadSection[] = "__TERN,__payload";

static Status checkImage(const File &file, bool programs) {
  return checkMachO(file, programs, kThisMachO);
}

static Status findPayload(const File &file, FileRange *out) {
  return findMachOSection(file, kPayloadSection, kThisMachO, out);
}
#else
static constexpr char kPayloadSection[] = ".tern.payload";

static Status checkImage(const File &file, bool programs) { return checkElf(file, programs); }

static Status findPayload(const File &file, FileRange *out) {
  return findElfSection(file, kPayloadSection, out);
}
#endif

static Status corrupt(std::string text) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, std::move(text));
}

//===----------------------------------------------------------------------===//
// The descriptor
//===----------------------------------------------------------------------===//

static Status checkVariant(const tern_variant_t &variant, uint32_t index) {
  if (!variant.level || !variant.forward)
    return corrupt(format("descriptor: level %u has no name or no code", index));
  if (variant.kernel_count > 4096 || (variant.kernel_count != 0 && !variant.kernels))
    return corrupt(format("descriptor: level %s has an implausible list of %" PRIu64 " kernels",
                          variant.level, variant.kernel_count));
  for (uint64_t i = 0; i < variant.kernel_count; ++i) {
    const tern_kernel_t &kernel = variant.kernels[i];
    const uint32_t k = kernel.packing == 1 ? 20 : 16;
    if (!kernel.name || !kernel.run || kernel.packing > 4 || kernel.rows == 0 ||
        kernel.rows > 256 || kernel.k != k)
      return corrupt(format("descriptor: kernel %" PRIu64
                            " of level %s is implausible: packing %u, "
                            "rows %u, k %u",
                            i, variant.level, kernel.packing, kernel.rows, kernel.k));
  }
  return {};
}

/// Far above anything real, and low enough that products of a few of them fit 64 bits.
static Status checkSizes(const tern_descriptor_t &code) {
  struct {
    const char *name;
    uint64_t value, most;
  } fields[] = {
      {"arena_bytes", code.arena_bytes, uint64_t(1) << 40},
      {"kv_bytes_per_position", code.kv_bytes_per_position, uint64_t(1) << 32},
      {"scratch_bytes_per_position", code.scratch_bytes_per_position, uint64_t(1) << 32},
      {"weights_bytes", code.weights_bytes, uint64_t(1) << 46},
      {"screened_bytes", code.screened_bytes, code.weights_bytes},
      {"max_rows", code.max_rows, 1 << 16},
      {"fixed_rows", code.fixed_rows, 1 << 28},
      {"vocabulary", code.vocabulary, 1 << 24},
      {"hidden", code.hidden, 1 << 24},
      {"layers", code.layers, 1 << 16},
      {"max_positions", code.max_positions, 1 << 28},
      {"input_count", code.input_count, 1 << 10},
      {"index_count", code.index_count, 1 << 10},
      {"output_count", code.output_count, 1 << 10},
  };
  for (const auto &field : fields)
    if (field.value > field.most)
      return corrupt(format("descriptor: expected %s up to %" PRIu64 ", found %" PRIu64, field.name,
                            field.most, field.value));
  if (code.max_rows == 0)
    return corrupt("descriptor: max_rows is 0");
  // A language model takes ids, position and wanted, and gives logits.
  if (code.vocabulary != 0 &&
      (code.input_count != 1 || code.index_count != 2 || code.output_count != 1))
    return corrupt(format("descriptor: expected a language model to have 1 input, 2 indices and 1 "
                          "output, found %u, %u and %u",
                          code.input_count, code.index_count, code.output_count));
  return {};
}

static Status checkDescriptor(const tern_descriptor_t &code) {
  if (code.abi_version != TERN_ABI_VERSION)
    return Status::error(TERN_STATUS_VERSION, TERN_CATEGORY_IO,
                         format("compiled for runtime interface %u, this runtime has %u: recompile "
                                "the model with this release",
                                code.abi_version, TERN_ABI_VERSION));
  if (code.struct_size < sizeof(tern_descriptor_t) || code.struct_size > 65536)
    return corrupt(format("descriptor: expected %zu bytes, found %u", sizeof(tern_descriptor_t),
                          code.struct_size));
  if (!code.compiler_version || !code.variants || code.variant_count == 0 ||
      code.variant_count > 64)
    return corrupt(format("descriptor: no compiler version, or an implausible list of %u levels",
                          code.variant_count));
  if (Status status = checkSizes(code); !status.ok())
    return status;
  for (uint32_t i = 0; i < code.variant_count; ++i)
    if (Status status = checkVariant(code.variants[i], i); !status.ok())
      return status;
  return {};
}

Status Library::ask(tern_query_fn query) {
  descriptor = query(TERN_ABI_VERSION);
  if (!descriptor)
    return Status::error(TERN_STATUS_VERSION, TERN_CATEGORY_IO,
                         format("the library does not speak runtime interface %u: recompile the "
                                "model with this release",
                                TERN_ABI_VERSION));
  return checkDescriptor(*descriptor);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

Status Library::usePayload(const File &file, FileRange range, const tern_open_options_t &options) {
  Status status = Payload::map(file, range, &loaded);
  if (status.ok())
    status = loaded.check(*descriptor, options.verify);
  if (status.ok())
    status = loaded.loadWeights(file, range.offset, options.load, descriptor->screened_bytes);
  return status;
}

Status Library::loadPayload(const File &file, const std::string &path,
                            const tern_open_options_t &options) {
  if (!descriptor->sidecar) {
    FileRange range;
    if (Status status = findPayload(file, &range); !status.ok())
      return status;
    if (range.bytes == 0)
      return Status::error(TERN_STATUS_NOT_FOUND, TERN_CATEGORY_IO,
                           format("no section %s in the file", kPayloadSection));
    return usePayload(file, range, options).within("payload");
  }
  const char *name = descriptor->sidecar;
  size_t length = strnlen(name, 256);
  if (length == 0 || length == 256 || std::strchr(name, '/') || !std::strcmp(name, ".") ||
      !std::strcmp(name, ".."))
    return corrupt("descriptor: the sidecar is not a plain file name");
  std::string beside = path.substr(0, path.rfind('/') + 1) + name;
  File sidecar;
  Status status = File::open(beside.c_str(), &sidecar);
  if (status.ok())
    status = usePayload(sidecar, {0, sidecar.size()}, options);
  return std::move(status).within("sidecar " + beside);
}

/// A model compiled for Metal is a payload and nothing around it.
static bool isPayload(const File &file) {
  char magic[8];
  return file.size() >= sizeof magic && file.read(0, magic, sizeof magic, "magic").ok() &&
         !std::memcmp(magic, TERN_PAYLOAD_MAGIC, sizeof magic);
}

Status Library::openPlan(const File &file, tern_verify_t verify) {
  Status status = Payload::map(file, {0, file.size()}, &loaded);
  if (status.ok())
    status = loaded.checkStructure();
  if (!status.ok())
    return std::move(status).within("payload");
  if (loaded.section(TERN_SECTION_MSL).empty())
    return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO,
                         "a payload without kernels: it belongs beside a library");
  metal::Plan plan;
  if (status = metal::Plan::read(loaded.section(TERN_SECTION_GPU_PLAN), &plan); !status.ok())
    return status;
  gpu = plan;
  gpuDescriptor = plan.descriptor();
  descriptor = &gpuDescriptor;
  if (status = checkSizes(gpuDescriptor); !status.ok())
    return status;
  return loaded.check(gpuDescriptor, verify).within("payload");
}

Status Library::open(const char *path, const tern_open_options_t &options) {
  File file;
  if (Status status = File::open(path, &file); !status.ok())
    return status;
  if (isPayload(file))
    return openPlan(file, options.verify);
  if (Status status = checkImage(file, false); !status.ok())
    return status;
  // Without a slash the dynamic linker would search its own directories.
  std::string place = std::strchr(path, '/') ? path : std::string("./") + path;
  handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return corrupt(format("the dynamic linker refused it: %s", reason ? reason : "no reason"));
  }
  auto query = reinterpret_cast<tern_query_fn>(dlsym(handle, "tern_query"));
  if (!query)
    return corrupt("not a compiled model: it exports no tern_query");
  if (Status status = ask(query); !status.ok())
    return status;
  return loadPayload(file, place, options);
}

#if defined(__APPLE__)

/// The file that holds `address`.
static std::string fileOf(const void *address) {
  Dl_info info = {};
  return dladdr(address, &info) && info.dli_fname ? info.dli_fname : "";
}

#else

/// The file that holds `address`. The main program's own name may be relative to a directory that
/// is no longer the current one.
static std::string fileOf(const void *address) {
  Dl_info info = {};
  if (!dladdr(address, &info) || !info.dli_fname)
    return {};
  void *program = dlopen(nullptr, RTLD_NOW);
  link_map *map = nullptr;
  bool ours = program && dlinfo(program, RTLD_DI_LINKMAP, &map) == 0 && map;
  // dladdr gives the lowest address, link_map the bias: equal for position-independent programs,
  // and a fixed one has bias 0.
  bool same = ours && (reinterpret_cast<uintptr_t>(info.dli_fbase) == map->l_addr ||
                       (map->l_addr == 0 && !std::strchr(info.dli_fname, '/')));
  if (program)
    dlclose(program);
  return same ? "/proc/self/exe" : info.dli_fname;
}

#endif

Status Library::openLinked(tern_query_fn query, const void *memory, uint64_t bytes,
                           const tern_open_options_t &options) {
  if (Status status = ask(query); !status.ok())
    return status;
  if (memory) {
    if (Status status = Payload::borrow(memory, bytes, &loaded); !status.ok())
      return std::move(status).within("payload");
    return loaded.check(*descriptor, options.verify).within("payload");
  }
  std::string path = fileOf(reinterpret_cast<const void *>(query));
  if (path.empty())
    return Status::error(TERN_STATUS_NOT_FOUND, TERN_CATEGORY_IO,
                         "the code lies in no file, so its payload must be given");
  File file;
  Status status = File::open(path.c_str(), &file);
  if (status.ok())
    status = checkImage(file, true);
  if (status.ok())
    status = loadPayload(file, path, options);
  return std::move(status).within("reading " + path);
}

Library::~Library() {
  // The payload is ours to unmap either way; nothing of the code runs any more.
  if (handle)
    dlclose(handle);
}
