//===- MslShim.cpp - runs printed MSL on the CPU --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/MslShim.h"

#include "tests/support/TempFolder.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <map>

namespace tern::test {

std::vector<std::string> kernelNames(const std::string &text) {
  static const std::string kIntroduction = "\nkernel void ";
  std::vector<std::string> names;
  for (size_t at = text.find(kIntroduction); at != std::string::npos;
       at = text.find(kIntroduction, at + 1)) {
    size_t begin = at + kIntroduction.size();
    names.push_back(text.substr(begin, text.find('(', begin) - begin));
  }
  return names;
}

std::string shimSource(const std::string &text, const std::string &rest) {
  std::string source = text + "\n";
  for (const std::string &name : kernelNames(text))
    source += "TERN_SHIM_KERNEL(" + name + ")\n";
  return source + rest;
}

std::string compileCxx(const std::string &source, const std::string &flags,
                       const std::string &output) {
  std::string file = output + ".cpp", log = output + ".log";
  std::ofstream(file) << source;
  std::string command = std::string(TERN_CXX) +
                        " -std=c++20 -ffp-contract=off -Werror=return-type -Wno-unknown-attributes "
                        "-pthread -I" TERN_SHIM_DIR " " +
                        flags + " '" + file + "' -o '" + output + "' > '" + log + "' 2>&1";
  bool worked = std::system(command.c_str()) == 0;
  std::ifstream in(log);
  std::string said((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (worked)
    return {};
  return said.empty() ? command + ": failed" : said;
}

std::shared_ptr<MslShim> MslShim::compile(const std::string &text, std::string *error) {
  static std::map<std::string, std::shared_ptr<MslShim>> known;
  std::shared_ptr<MslShim> &shim = known[text];
  if (shim)
    return shim;
  TempFolder folder;
  const std::string name = folder / "kernels.so";
  *error = compileCxx(shimSource(text), "-O2 -shared -fPIC", name);
  // Once it is open the file may go.
  void *handle = error->empty() ? dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!handle && error->empty())
    *error = dlerror();
  if (handle)
    shim.reset(new MslShim(handle));
  return shim;
}

MslShim::~MslShim() { dlclose(handle); }

MslShim::Kernel MslShim::find(const std::string &name) const {
  return reinterpret_cast<Kernel>(dlsym(handle, ("shim_" + name).c_str()));
}

} // namespace tern::test
