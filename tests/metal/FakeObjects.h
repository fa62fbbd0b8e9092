//===- FakeObjects.h - the objects of the fake Metal ------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to FakeMetal.cpp and FakeObjects.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_METAL_FAKEOBJECTS_H
#define TERN_TESTS_METAL_FAKEOBJECTS_H

#include "tests/metal/FakeMetal.h"
#include "tests/support/MslShim.h"

#include <map>
#include <memory>

namespace tern::test {

/// A class, and where a message to its objects goes.
struct FakeClass {
  std::string name;
  std::map<std::string, void *> methods;
};

struct FakeObject {
  explicit FakeObject(const char *type);
  virtual ~FakeObject();
  FakeClass *isa;
  int references = 1;
};

struct FakeString : FakeObject {
  FakeString() : FakeObject("NSString") {}
  std::string text;
};
struct FakeError : FakeObject {
  explicit FakeError(const std::string &text) : FakeObject("NSError"), text(text) {}
  std::string text;
};
struct FakeOptions : FakeObject {
  FakeOptions() : FakeObject("MTLCompileOptions") {}
  bool fastMath = true;
};
struct FakeDevice : FakeObject {
  FakeDevice() : FakeObject("MTLDevice") {}
};
struct FakeLibrary : FakeObject {
  FakeLibrary() : FakeObject("MTLLibrary") {}
  std::shared_ptr<MslShim> code;
  std::string text;
};
struct FakeFunction : FakeObject {
  FakeFunction() : FakeObject("MTLFunction") {}
  std::shared_ptr<MslShim> code;
  std::string name;
  uint64_t buffers = 0, sharedBytes = 0;
};
struct FakePipeline : FakeObject {
  FakePipeline() : FakeObject("MTLComputePipelineState") {}
  std::shared_ptr<MslShim> code;
  std::string name;
  uint64_t buffers = 0, sharedBytes = 0;
};
struct FakeBuffer : FakeObject {
  FakeBuffer() : FakeObject("MTLBuffer") {}
  ~FakeBuffer() override;
  uint8_t *data = nullptr;
  uint64_t bytes = 0;
  bool shared = true;
  void *mapping = nullptr; ///< null: the caller's memory
  uint64_t mappedBytes = 0;
};
struct FakeQueue : FakeObject {
  FakeQueue() : FakeObject("MTLCommandQueue") {}
};

/// What a dispatch was encoded with. A command buffer retains what it uses.
struct FakeWork {
  FakePipeline *pipeline = nullptr;
  std::map<uint64_t, std::pair<FakeBuffer *, uint64_t>> buffers;
  std::map<uint64_t, std::vector<uint32_t>> bytes;
  uint32_t groups[3] = {};
  uint64_t threads = 0;
};
struct FakeCommands : FakeObject {
  FakeCommands() : FakeObject("MTLCommandBuffer") {}
  ~FakeCommands() override;
  std::vector<FakeWork> work;
  std::vector<FakeObject *> retained;
  bool encoding = false, committed = false, waited = false;
  uint64_t status = 0;
};
struct FakeEncoder : FakeObject {
  FakeEncoder() : FakeObject("MTLComputeCommandEncoder") {}
  FakeCommands *commands = nullptr;
  FakeWork now;
  bool ended = false;
};

/// What all objects share.
struct FakeWorld {
  FakeBehaviour behaviour;
  std::map<std::string, FakeClass> classes;
  std::map<std::string, std::string> selectors; ///< addresses of keys are selectors
  std::vector<std::vector<FakeObject *>> pools;
  std::vector<std::string> complaints;
  std::vector<FakeDispatch> dispatches;
  int64_t living = 0, buffersMade = 0;
};
FakeWorld &world();
void complain(const std::string &what);
/// Gives the object to the innermost pool.
template <typename T> T *autorelease(T *object) {
  if (world().pools.empty())
    complain("an object is autoreleased and there is no pool");
  else
    world().pools.back().push_back(object);
  return object;
}
void release(FakeObject *object);
void retain(FakeObject *object);
/// Fills the classes with their methods.
void defineClasses();

} // namespace tern::test

#endif // TERN_TESTS_METAL_FAKEOBJECTS_H
