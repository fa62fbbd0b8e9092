//===- FakeObjects.cpp - the methods of the fake Metal --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/metal/FakeObjects.h"

#include <cstring>
#include <regex>
#include <sys/mman.h>
#include <unistd.h>

using tern::metal::Id;
using tern::metal::Selector;
using tern::metal::Size;

namespace tern::test {

namespace {

// Every method has the types Apple gives it.

constexpr uint64_t kPrivate = 2 << 4;

uint64_t pageBytes() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

/// Memory that ends, up to 15 bytes, where a page begins that nobody may touch.
bool mapGuarded(FakeBuffer &buffer, uint64_t bytes) {
  uint64_t page = pageBytes(), room = (bytes + 15) / 16 * 16;
  uint64_t pages = (room + page - 1) / page * page;
  buffer.mappedBytes = pages + page;
  buffer.mapping =
      mmap(nullptr, buffer.mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer.mapping == MAP_FAILED)
    return false;
  auto *base = static_cast<uint8_t *>(buffer.mapping);
  mprotect(base + pages, page, PROT_NONE);
  buffer.data = base + pages - room;
  // Fresh memory is not zero, and no number either.
  std::memset(buffer.data, 0xa5, room);
  buffer.bytes = bytes;
  return true;
}

//===----------------------------------------------------------------------===//
// Strings, options, libraries
//===----------------------------------------------------------------------===//

Id newString(Id, Selector) { return new FakeString; }
Id initString(FakeString *self, Selector, const void *bytes, uint64_t length, uint64_t encoding) {
  if (encoding != 4)
    complain("a string of an encoding other than UTF-8");
  self->text.assign(static_cast<const char *>(bytes), length);
  return self;
}
const char *utf8(FakeString *self, Selector) { return self->text.c_str(); }
Id describeError(FakeError *self, Selector) {
  auto *text = new FakeString;
  text->text = self->text;
  return autorelease(text);
}
Id newOptions(Id, Selector) { return new FakeOptions; }
Id initOptions(FakeOptions *self, Selector) { return self; }
void setFastMath(FakeOptions *self, Selector, signed char on) { self->fastMath = on; }
void releaseAny(FakeObject *self, Selector) { release(self); }

Id newLibrary(FakeDevice *, Selector, FakeString *source, FakeOptions *options, Id *error) {
  if (options->fastMath)
    complain("a library with fast math: its results would differ");
  std::string said;
  std::shared_ptr<MslShim> code = MslShim::compile(source->text, &said);
  if (!code) {
    *error = autorelease(new FakeError(said));
    return nullptr;
  }
  auto *library = new FakeLibrary;
  library->code = code;
  library->text = source->text;
  return library;
}

/// From `kernel void name(` to the brace that ends it.
std::string textOf(const std::string &text, const std::string &name) {
  size_t begin = text.find("\nkernel void " + name + "(");
  return begin == std::string::npos ? std::string()
                                    : text.substr(begin, text.find("\n}\n", begin) - begin);
}

uint64_t sharedBytesOf(const std::string &text) {
  static const std::regex shared("threadgroup (int4|int|float) [a-z]+\\[([0-9]+)\\];");
  uint64_t bytes = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), shared), end; at != end; ++at)
    bytes += ((*at)[1] == "int4" ? 16 : 4) * std::stoull((*at)[2]);
  return bytes;
}

uint64_t buffersOf(const std::string &text) {
  uint64_t count = 0;
  for (size_t at = text.find("[[buffer("); at != std::string::npos;
       at = text.find("[[buffer(", at + 1))
    ++count;
  return count;
}

Id newFunction(FakeLibrary *self, Selector, FakeString *name) {
  std::string text = textOf(self->text, name->text);
  if (text.empty() || name->text == world().behaviour.missingFunction)
    return nullptr;
  auto *function = new FakeFunction;
  function->code = self->code;
  function->name = name->text;
  function->buffers = buffersOf(text);
  function->sharedBytes = sharedBytesOf(text);
  return function;
}

Id newPipeline(FakeDevice *, Selector, FakeFunction *function, Id *) {
  auto *pipeline = new FakePipeline;
  pipeline->code = function->code;
  pipeline->name = function->name;
  pipeline->buffers = function->buffers;
  pipeline->sharedBytes = function->sharedBytes;
  return pipeline;
}

uint64_t simdWidth(FakePipeline *, Selector) { return world().behaviour.simdWidth; }
uint64_t mostThreads(FakePipeline *, Selector) { return world().behaviour.mostThreads; }
uint64_t staticMemory(FakePipeline *self, Selector) { return self->sharedBytes; }
uint64_t mostMemory(FakeDevice *, Selector) { return world().behaviour.threadgroupMemory; }

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

Id newBuffer(FakeDevice *, Selector, uint64_t bytes, uint64_t options) {
  if (bytes == 0)
    complain("a buffer without bytes");
  if (world().buffersMade++ == world().behaviour.failingBuffer)
    return nullptr;
  auto *buffer = new FakeBuffer;
  buffer->shared = options != kPrivate;
  if (!mapGuarded(*buffer, bytes))
    complain("no memory");
  return buffer;
}

Id newBorrowed(FakeDevice *, Selector, void *data, uint64_t bytes, uint64_t, void *deallocator) {
  if (reinterpret_cast<uintptr_t>(data) % pageBytes() != 0 || bytes % pageBytes() != 0)
    complain("memory without copy that is not whole pages");
  if (deallocator)
    complain("a deallocator that nobody wrote");
  auto *buffer = new FakeBuffer;
  buffer->data = static_cast<uint8_t *>(data);
  buffer->bytes = bytes;
  return buffer;
}

void *contentsOf(FakeBuffer *self, Selector) { return self->shared ? self->data : nullptr; }

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

Id newQueue(FakeDevice *, Selector) { return new FakeQueue; }
Id newCommands(FakeQueue *, Selector) { return autorelease(new FakeCommands); }

Id newEncoder(FakeCommands *self, Selector) {
  if (self->encoding || self->committed)
    complain("an encoder of a command buffer that has one, or was committed");
  auto *encoder = new FakeEncoder;
  encoder->commands = self;
  self->encoding = true;
  return autorelease(encoder);
}

void setPipeline(FakeEncoder *self, Selector, FakePipeline *pipeline) {
  self->now.pipeline = pipeline;
  retain(pipeline);
  self->commands->retained.push_back(pipeline);
}

void setBuffer(FakeEncoder *self, Selector, FakeBuffer *buffer, uint64_t offset, uint64_t index) {
  if (offset >= buffer->bytes || offset % 4 != 0 || index > 30)
    complain("buffer " + std::to_string(index) + ": offset " + std::to_string(offset) + " of " +
             std::to_string(buffer->bytes) + " bytes");
  self->now.buffers[index] = {buffer, offset};
  self->now.bytes.erase(index);
  retain(buffer);
  self->commands->retained.push_back(buffer);
}

void setBytes(FakeEncoder *self, Selector, const void *data, uint64_t bytes, uint64_t index) {
  if (bytes == 0 || bytes > 4096 || bytes % 4 != 0 || index > 30)
    complain("bytes " + std::to_string(index) + ": " + std::to_string(bytes) + " of them");
  std::vector<uint32_t> copy(bytes / 4);
  std::memcpy(copy.data(), data, copy.size() * 4);
  self->now.bytes[index] = copy;
  self->now.buffers.erase(index);
}

void dispatch(FakeEncoder *self, Selector, Size groups, Size threads) {
  FakeWork &work = self->now;
  if (self->ended || !work.pipeline) {
    complain("a dispatch after the end, or without a pipeline");
    return;
  }
  if (groups.width * groups.height * groups.depth == 0 || threads.height != 1 ||
      threads.depth != 1 || threads.width % 32 != 0 ||
      threads.width > world().behaviour.mostThreads)
    complain(work.pipeline->name + ": an impossible grid");
  FakeDispatch made{
      work.pipeline->name, {groups.width, groups.height, groups.depth}, threads.width, {}, 0};
  for (uint64_t i = 0; i < work.pipeline->buffers; ++i) {
    if (work.buffers.count(i))
      made.offsets.push_back(work.buffers[i].second);
    else if (work.bytes.count(i) && i + 1 == work.pipeline->buffers)
      made.scalarBytes = work.bytes[i].size() * 4;
    else
      complain(work.pipeline->name + ": argument " + std::to_string(i) + " is not set");
  }
  world().dispatches.push_back(made);
  work.groups[0] = static_cast<uint32_t>(groups.width);
  work.groups[1] = static_cast<uint32_t>(groups.height);
  work.groups[2] = static_cast<uint32_t>(groups.depth);
  work.threads = threads.width;
  self->commands->work.push_back(work);
  // What one kernel was given is not meant for the next.
  work.buffers.clear();
  work.bytes.clear();
}

void endEncoding(FakeEncoder *self, Selector) {
  self->ended = true;
  self->commands->encoding = false;
}

void runWork(const FakeWork &work) {
  MslShim::Kernel kernel = work.pipeline->code->find(work.pipeline->name);
  std::vector<void *> arguments(work.pipeline->buffers);
  std::map<uint64_t, std::vector<uint32_t>> bytes = work.bytes;
  for (auto &[index, place] : work.buffers)
    arguments[index] = place.first->data + place.second;
  for (auto &[index, data] : bytes)
    arguments[index] = data.data();
  kernel(arguments.data(), work.groups, static_cast<uint32_t>(work.threads));
}

void commit(FakeCommands *self, Selector) {
  if (self->encoding || self->committed)
    complain("a commit while encoding, or a second one");
  self->committed = true;
  self->status = world().behaviour.gpuFault.empty() ? 4 : 5;
}

/// The GPU takes its time: nothing is done before somebody waits for it.
void waitUntilCompleted(FakeCommands *self, Selector) {
  if (!self->committed)
    complain("waiting for what was not committed");
  self->waited = true;
  if (self->status == 4)
    for (const FakeWork &work : self->work)
      runWork(work);
}

uint64_t statusOf(FakeCommands *self, Selector) {
  if (!self->waited)
    complain("the status before the end");
  return self->status;
}

Id errorOf(FakeCommands *self, Selector) {
  return self->status == 5 ? autorelease(new FakeError(world().behaviour.gpuFault)) : nullptr;
}

template <typename Function> void define(const char *type, const char *method, Function *function) {
  FakeClass &found = world().classes[type];
  found.name = type;
  found.methods[method] = reinterpret_cast<void *>(function);
}

} // namespace

FakeBuffer::~FakeBuffer() {
  if (mapping)
    munmap(mapping, mappedBytes);
}

FakeCommands::~FakeCommands() {
  if (encoding)
    complain("a command buffer dies while it is encoded");
  for (FakeObject *object : retained)
    release(object);
}

void defineClasses() {
  for (const char *type : {"NSString", "NSError", "MTLCompileOptions", "MTLDevice", "MTLLibrary",
                           "MTLFunction", "MTLComputePipelineState", "MTLBuffer", "MTLCommandQueue",
                           "MTLCommandBuffer", "MTLComputeCommandEncoder"})
    define(type, "release", releaseAny);
  define("NSString class", "alloc", newString);
  define("NSString", "initWithBytes:length:encoding:", initString);
  define("NSString", "UTF8String", utf8);
  define("NSError", "localizedDescription", describeError);
  define("MTLCompileOptions class", "alloc", newOptions);
  define("MTLCompileOptions", "init", initOptions);
  define("MTLCompileOptions", "setFastMathEnabled:", setFastMath);
  define("MTLDevice", "newLibraryWithSource:options:error:", newLibrary);
  define("MTLDevice", "newComputePipelineStateWithFunction:error:", newPipeline);
  define("MTLDevice", "maxThreadgroupMemoryLength", mostMemory);
  define("MTLDevice", "newBufferWithLength:options:", newBuffer);
  define("MTLDevice", "newBufferWithBytesNoCopy:length:options:deallocator:", newBorrowed);
  define("MTLDevice", "newCommandQueue", newQueue);
  define("MTLLibrary", "newFunctionWithName:", newFunction);
  define("MTLComputePipelineState", "threadExecutionWidth", simdWidth);
  define("MTLComputePipelineState", "maxTotalThreadsPerThreadgroup", mostThreads);
  define("MTLComputePipelineState", "staticThreadgroupMemoryLength", staticMemory);
  define("MTLBuffer", "contents", contentsOf);
  define("MTLCommandQueue", "commandBuffer", newCommands);
  define("MTLCommandBuffer", "computeCommandEncoder", newEncoder);
  define("MTLCommandBuffer", "commit", commit);
  define("MTLCommandBuffer", "waitUntilCompleted", waitUntilCompleted);
  define("MTLCommandBuffer", "status", statusOf);
  define("MTLCommandBuffer", "error", errorOf);
  define("MTLComputeCommandEncoder", "setComputePipelineState:", setPipeline);
  define("MTLComputeCommandEncoder", "setBuffer:offset:atIndex:", setBuffer);
  define("MTLComputeCommandEncoder", "setBytes:length:atIndex:", setBytes);
  define("MTLComputeCommandEncoder", "dispatchThreadgroups:threadsPerThreadgroup:", dispatch);
  define("MTLComputeCommandEncoder", "endEncoding", endEncoding);
}

} // namespace tern::test
