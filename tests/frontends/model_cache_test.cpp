//===- model_cache_test.cpp - compiled models kept between runs -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/jit/Jit.h"
#include "tests/support/TestCheckpoint.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <thread>

using namespace llvm;
using namespace tern;
namespace fs = std::filesystem;

namespace {
class Cache : public testing::Test {
protected:
  void SetUp() override {
    fs::copy(TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet", model,
             fs::copy_options::recursive);
  }

  /// The first logits of a run through the cache; empty after a failure, which is reported.
  std::vector<float> run(uint64_t least = 0, uint64_t most = uint64_t(1) << 40) {
    OpenOptions options;
    options.cache.emplace(cache, least, most);
    auto running = RunningModel::open(model, options);
    if (!running) {
      ADD_FAILURE() << toString(running.takeError());
      return {};
    }
    tern_session_t *session = nullptr;
    tern_session_options_t how = {sizeof how, 1, 16};
    EXPECT_EQ(tern_session_create(running->get(), &how, &session), TERN_STATUS_OK);
    EXPECT_EQ(tern_decode(session, 5), TERN_STATUS_OK);
    const float *logits = nullptr;
    size_t count = 0;
    EXPECT_EQ(tern_session_logits(session, &logits, &count), TERN_STATUS_OK);
    std::vector<float> result(logits, logits + count);
    tern_session_destroy(session);
    return result;
  }
  static std::string read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<ModelCache::Entry> entries() const { return ModelCache(cache).list(); }

  test::TempFolder folder;
  const std::string model = folder / "model", cache = (folder / "cache") + "/tern";
};
} // namespace

TEST_F(Cache, TheSecondRunUsesTheFileOfTheFirst) {
  run();
  ASSERT_EQ(entries().size(), 1u);
  std::string path = entries()[0].path;
  struct stat first, second;
  ASSERT_EQ(::stat(path.c_str(), &first), 0);
  fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(1));
  run();
  ASSERT_EQ(entries().size(), 1u);
  ASSERT_EQ(::stat(path.c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino) << "the file was written again";
  EXPECT_GE(second.st_mtim.tv_sec, first.st_mtim.tv_sec) << "the use was not noted";
}

TEST_F(Cache, RunsWithAndWithoutAFileGiveTheSameBits) {
  std::vector<float> memory = run(/*least=*/uint64_t(1) << 40);
  EXPECT_TRUE(entries().empty());
  EXPECT_EQ(run(), memory);
  EXPECT_EQ(entries().size(), 1u);
  EXPECT_EQ(run(), memory);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(Cache, DamagedFilesAreMadeAnew) {
  std::vector<float> expected = run();
  ASSERT_EQ(entries().size(), 1u);
  std::string path = entries()[0].path;
  auto bytes = fs::file_size(path);
  fs::resize_file(path, bytes / 2);
  EXPECT_EQ(run(), expected);
  EXPECT_EQ(fs::file_size(path), bytes);
  const std::string whole = read(path);
  // In the header, and in the weights; those of small models are always checked.
  for (auto place : {uint64_t(16), uint64_t(bytes / 2)}) {
    {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(place));
      file.write("damaged", 7);
    }
    ASSERT_NE(read(path), whole);
    EXPECT_EQ(run(), expected) << place;
    ASSERT_EQ(entries().size(), 1u);
    EXPECT_TRUE(read(path) == whole) << place;
  }
}

TEST_F(Cache, OtherThingsInTheFolderAreNoneOfItsBusiness) {
  fs::create_directory(fs::path(model) / "runs");
  fs::create_directory_symlink(".", fs::path(model) / "self");
  fs::create_symlink("nowhere", fs::path(model) / "broken");
  run();
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(Cache, FoldersOfOthersAreNotUsed) {
  fs::create_directories(cache);
  fs::permissions(cache, fs::perms::all);
  EXPECT_FALSE(run().empty());
  EXPECT_TRUE(entries().empty());
}

TEST_F(Cache, AChangedCheckpointIsAnotherEntry) {
  run();
  fs::path weights = fs::path(model) / "model.safetensors";
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(5));
  run();
  EXPECT_EQ(entries().size(), 2u);
  // Only what was used last fits.
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(5));
  run(0, entries()[0].bytes * 3 / 2);
  EXPECT_EQ(entries().size(), 1u);
  EXPECT_EQ(ModelCache(cache).clear(), 1u);
  EXPECT_TRUE(entries().empty());
}

TEST_F(Cache, RunsAtOnceShareAFolder) {
  std::vector<float> expected = run(uint64_t(1) << 40), found[2];
  std::thread other([&] { found[0] = run(); });
  found[1] = run();
  other.join();
  EXPECT_EQ(found[0], expected);
  EXPECT_EQ(found[1], expected);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(Cache, FoldersThatCannotBeWrittenDoNotStopARun) {
  std::ofstream(folder / "cache") << "a file where the folder should be";
  EXPECT_FALSE(run().empty());
  EXPECT_TRUE(entries().empty());
}
