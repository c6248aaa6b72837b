// Blocking work (files, validation, SQLite) in libuv's thread pool.
#pragma once

#include <functional>
#include <memory>

#include "sluice/loop/loop.h"

namespace sluice::loop {

// Work under way; destroying the handle clears the asker: `done` is then not called, but `run` may
// still run.
class Work {
 public:
  virtual ~Work() = default;
};

// `run` on a pool thread, then `done` on the loop.
std::unique_ptr<Work> run_work(Loop& loop, std::function<void()> run, std::function<void()> done);

}  // namespace sluice::loop
