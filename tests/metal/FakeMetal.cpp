//===- FakeMetal.cpp - classes, messages, pools ---------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/metal/FakeObjects.h"

#include <cstdio>
#include <cstdlib>

using tern::metal::Api;
using tern::metal::Id;
using tern::metal::Selector;

namespace tern::test {

FakeWorld &world() {
  static FakeWorld one;
  return one;
}

void complain(const std::string &what) { world().complaints.push_back(what); }

FakeObject::FakeObject(const char *type) : isa(&world().classes[type]) {
  isa->name = type;
  ++world().living;
}
FakeObject::~FakeObject() { --world().living; }

void retain(FakeObject *object) { ++object->references; }

void release(FakeObject *object) {
  if (object->references <= 0) {
    complain(object->isa->name + ": released too often");
    return;
  }
  if (--object->references == 0)
    delete object;
}

//===----------------------------------------------------------------------===//
// The Objective-C runtime
//===----------------------------------------------------------------------===//

/// A class is no object here: messages to it go to the class of its own name and " class".
static bool isClass(Id target) {
  for (auto &[name, type] : world().classes)
    if (&type == target)
      return true;
  return false;
}

static Id getClass(const char *name) {
  auto found = world().classes.find(name);
  return found == world().classes.end() ? nullptr : &found->second;
}

static Id classOf(Id target) {
  if (!target) {
    // A message to nil does nothing for real; ours are never meant for it.
    complain("a message to nil");
    std::abort();
  }
  if (isClass(target))
    return &world().classes[static_cast<FakeClass *>(target)->name + " class"];
  return static_cast<FakeObject *>(target)->isa;
}

static Selector registerName(const char *name) {
  return const_cast<std::string *>(&world().selectors.try_emplace(name, name).first->second);
}

static void *implementation(Id type, Selector selector) {
  auto *found = static_cast<FakeClass *>(type);
  const std::string &name = *static_cast<std::string *>(selector);
  auto method = found->methods.find(name);
  if (method != found->methods.end())
    return method->second;
  std::fprintf(stderr, "fake Metal: %s has no method %s\n", found->name.c_str(), name.c_str());
  std::abort();
}

static void *poolPush() {
  world().pools.emplace_back();
  return reinterpret_cast<void *>(world().pools.size());
}

static void poolPop(void *pool) {
  if (world().pools.size() != reinterpret_cast<uintptr_t>(pool))
    complain("pools end in another order than they began");
  std::vector<FakeObject *> last = std::move(world().pools.back());
  world().pools.pop_back();
  // The youngest first: an encoder before its command buffer.
  while (!last.empty()) {
    release(last.back());
    last.pop_back();
  }
}

static Id createDevice() { return world().behaviour.noDevice ? nullptr : new FakeDevice; }

static const Api fakeApi = {getClass, classOf, registerName, implementation,
                            poolPush, poolPop, createDevice};

//===----------------------------------------------------------------------===//
// FakeMetal
//===----------------------------------------------------------------------===//

FakeMetal::FakeMetal(const FakeBehaviour &behaviour) {
  world() = FakeWorld();
  world().behaviour = behaviour;
  defineClasses();
  metal::setApi(&fakeApi);
}

FakeMetal::~FakeMetal() { metal::setApi(nullptr); }

const std::vector<std::string> &FakeMetal::complaints() { return world().complaints; }
const std::vector<FakeDispatch> &FakeMetal::dispatches() { return world().dispatches; }
void FakeMetal::forgetDispatches() { world().dispatches.clear(); }
int64_t FakeMetal::living() { return world().living; }

} // namespace tern::test
