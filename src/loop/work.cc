#include "sluice/loop/work.h"

#include <uv.h>

#include "sluice/base/check.h"

namespace sluice::loop {
namespace {

class PoolWork;

// Owns itself until libuv calls back; its asker may have gone.
struct WorkRequest {
  uv_work_t uv;
  PoolWork* asker;
  std::function<void()> run;
  std::function<void()> done;
};

class PoolWork final : public Work {
 public:
  explicit PoolWork(WorkRequest* request) noexcept : request_(request) { request->asker = this; }
  ~PoolWork() override {
    if (request_ == nullptr) return;
    request_->asker = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_->uv));  // unless it runs already
  }
  void forget() noexcept { request_ = nullptr; }

 private:
  WorkRequest* request_;
};

void on_pool_thread(uv_work_t* uv) noexcept { static_cast<WorkRequest*>(uv->data)->run(); }

void on_worked(uv_work_t* uv, int) noexcept {
  std::unique_ptr<WorkRequest> request(static_cast<WorkRequest*>(uv->data));
  if (request->asker == nullptr) return;
  request->asker->forget();
  request->done();  // may destroy the asker
}

}  // namespace

std::unique_ptr<Work> run_work(Loop& loop, std::function<void()> run, std::function<void()> done) {
  auto* request = new WorkRequest{{}, nullptr, std::move(run), std::move(done)};
  request->uv.data = request;
  auto work = std::make_unique<PoolWork>(request);
  SL_CHECK(uv_queue_work(loop.uv(), &request->uv, on_pool_thread, on_worked) == 0);
  return work;
}

}  // namespace sluice::loop
