#include "sluice/orders/sqlite/store_sqlite.h"

#include <algorithm>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "sluice/base/log.h"
#include "sluice/base/random.h"
#include "sluice/orders/sqlite/job_queue.h"
#include "sluice/orders/sqlite/order_reader.h"
#include "sluice/orders/sqlite/order_writer.h"
#include "sluice/orders/sqlite/sqlite_schema.h"

namespace sluice::orders {
namespace {

constexpr size_t kRoom = 4096;  // calls that may wait for a thread
constexpr size_t kGroup = 256;  // writes in one transaction
constexpr Duration kForgetEvery = std::chrono::seconds(60);

void log_failure(const char* what, Error error, const std::string& detail) {
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::error, "orders", "{}: {}: {}", what, error.text(), detail);
}

// Where finished jobs go: to the loop, all of a group with one wake-up. Nobody is answered any more
// once the store, which owns it, is gone.
class AnswerDoor {
 public:
  explicit AnswerDoor(loop::Loop& loop) noexcept : loop_(loop) {}

  // Thread: any.
  void hand_back(Jobs jobs) {
    if (jobs.empty()) return;
    loop_.post([jobs = std::make_shared<Jobs>(std::move(jobs)), open = std::weak_ptr(open_)] {
      for (std::unique_ptr<Job>& job : *jobs) {
        if (!open.expired()) job->finish();
      }
    });
  }
  void fail(Jobs jobs, Error error) {
    for (std::unique_ptr<Job>& job : jobs) job->fail(error);
    hand_back(std::move(jobs));
  }

 private:
  loop::Loop& loop_;
  std::shared_ptr<Ok> open_ = std::make_shared<Ok>();
};

// A thread that reads, with a connection of its own.
class ReadThread {
 public:
  ReadThread(AnswerDoor& door, Database db) : door_(door), reader_(std::move(db)) {
    thread_ = std::thread([this] { work(); });
  }
  ~ReadThread() {
    queue_.stop();
    thread_.join();
  }

  JobQueue& queue() noexcept { return queue_; }
  OrderReader& reader() noexcept { return reader_; }

 private:
  void work() {
    while (queue_.wait()) {
      Jobs jobs = queue_.take(kGroup);
      for (std::unique_ptr<Job>& job : jobs) run(*job);
      door_.hand_back(std::move(jobs));
    }
  }

  // In WAL mode readers do not wait for writers, but for the recovery after a crash.
  void run(Job& job) {
    const Patience patience{job.deadline(), [this](Duration time) { return queue_.pause(time); }};
    const Status done = retry_busy(patience, random_, [&job]() -> Status {
      job.run();
      if (job.error()) return job.error();
      return Ok{};
    });
    if (!done && !is_busy(done.error())) {
      log_failure("reading", done.error(), reader_.database().last_error());
    }
  }

  AnswerDoor& door_;
  OrderReader reader_;
  Random random_;
  JobQueue queue_{kRoom};
  std::thread thread_;
};

// The thread that writes.
class WriteThread {
 public:
  WriteThread(AnswerDoor& door, Database db) : door_(door), writer_(std::move(db)) {
    thread_ = std::thread([this] { work(); });
  }
  ~WriteThread() {
    queue_.stop();
    thread_.join();
  }

  JobQueue& queue() noexcept { return queue_; }
  size_t depth() const noexcept { return queue_.size(); }
  OrderWriter& writer() noexcept { return writer_; }

 private:
  // What waits is taken after the transaction has begun, so that a group grows while another
  // process writes.
  void work() {
    while (queue_.wait()) {
      const Status begun = begin(queue_.first_deadline());
      if (begun) {
        write_group(queue_.take(kGroup));
      } else if (is_busy(begun.error())) {
        door_.fail(queue_.take_expired(monotonic_now()), begun.error());
      } else {
        log_failure("writing", begun.error(), writer_.database().last_error());
        writer_.rollback();
        door_.fail(queue_.take(kRoom), begun.error());
      }
    }
  }

  // Without care first: hardly ever has one of them to be undone alone. Then all are undone, and
  // run again with care.
  void write_group(Jobs jobs) {
    writer_.database().set_careful(false);
    Error error = run(jobs);
    if (!writer_.database().is_in_transaction()) {
      writer_.database().set_careful(true);
      error = begin(jobs.front()->deadline()).error();
      if (!error) error = run(jobs);
    }
    if (!error) error = forget();
    if (error) log_failure("writing", error, writer_.database().last_error());
    // A failure may have undone it all.
    if (writer_.database().is_in_transaction()) error = commit();
    if (error) return door_.fail(std::move(jobs), error);
    door_.hand_back(std::move(jobs));
  }

  Status begin(TimePoint deadline) {
    const Patience patience{deadline, [this](Duration time) { return queue_.pause(time); }};
    return retry_busy(patience, random_, [this] { return writer_.begin(); });
  }

  // The last error of one of them.
  Error run(Jobs& jobs) {
    Error error;
    for (std::unique_ptr<Job>& job : jobs) {
      job->run();
      if (job->error()) error = job->error();
      if (!writer_.database().is_in_transaction()) break;
    }
    return error;
  }

  Error commit() {
    const Status committed = writer_.commit();
    if (committed) return {};
    log_failure("writing", committed.error(), writer_.database().last_error());
    writer_.rollback();
    return committed.error();
  }

  Error forget() {
    const TimePoint now = monotonic_now();
    if (now < forget_at_) return {};
    forget_at_ = now + kForgetEvery;
    Status done = writer_.forget_old_keys(wall_now());
    if (done) done = writer_.events().forget_old_events(wall_now());
    return done.error();
  }

  AnswerDoor& door_;
  OrderWriter writer_;
  Random random_;
  JobQueue queue_{kRoom};
  TimePoint forget_at_{};
  std::thread thread_;
};

class SqliteStore final : public ShopStore {
 public:
  SqliteStore(loop::Loop& loop, std::string path, Database write, Database read, Database count)
      : text_("sqlite:" + std::move(path)),
        door_(loop),
        writes_(door_, std::move(write)),
        reads_(door_, std::move(read)),
        counts_(door_, std::move(count)) {}

  // Who wants what has just been sold out does not wait for a group of writes to hear so.
  void place(NewOrder order, Answer<Placed> answer) override {
    if (order.user_limit > 0 || !is_scarce(order))
      return write(std::move(order), std::move(answer));
    const auto shared = std::make_shared<NewOrder>(std::move(order));
    ask<std::optional<Placed>>(
        reads_.queue(), [this, shared] { return reads_.reader().find_sold_out(*shared); },
        [this, shared, answer = std::move(answer)](Result<std::optional<Placed>> found) {
          if (!found) return answer(found.error());
          if (*found) return answer(**std::move(found));
          for (const OrderLine& line : shared->lines) scarce_.erase(line.product_id);
          write(std::move(*shared), answer);
        });
  }

  void restock(std::string product_id, int64_t quantity,
               Answer<std::optional<Product>> answer) override {
    ask<std::optional<Product>>(
        writes_.queue(),
        [this, id = std::move(product_id), quantity] {
          return writes_.writer().restock(id, quantity, wall_now());
        },
        std::move(answer));
  }

  void products(Answer<std::vector<Product>> answer) override {
    ask<std::vector<Product>>(
        reads_.queue(), [this] { return reads_.reader().products(); }, std::move(answer));
  }

  void product(std::string id, Answer<std::optional<Product>> answer) override {
    ask<std::optional<Product>>(
        reads_.queue(), [this, id = std::move(id)] { return reads_.reader().product(id); },
        std::move(answer));
  }

  void order(std::string id, Answer<std::optional<Order>> answer) override {
    ask<std::optional<Order>>(
        reads_.queue(), [this, id = std::move(id)] { return reads_.reader().order(id); },
        std::move(answer));
  }

  void orders_of(std::string user_id, Answer<std::vector<Order>> answer) override {
    ask<std::vector<Order>>(
        reads_.queue(),
        [this, id = std::move(user_id)] { return reads_.reader().orders_of(id, kMostListed); },
        std::move(answer));
  }

  void totals(Answer<Totals> answer) override {
    ask<Totals>(
        counts_.queue(), [this] { return counts_.reader().totals(); }, std::move(answer));
  }

  void ping(Answer<Ok> answer) override {
    ask<Ok>(
        reads_.queue(), [this] { return reads_.reader().ping(); }, std::move(answer));
  }

  void placed_keys(std::vector<std::string> keys,
                   Answer<std::vector<std::string>> answer) override {
    ask<std::vector<std::string>>(
        reads_.queue(),
        [this, keys = std::move(keys)] { return reads_.reader().placed_keys(keys); },
        std::move(answer));
  }

  void keys_after(PlacedKey last, int64_t most, Answer<std::vector<PlacedKey>> answer) override {
    ask<std::vector<PlacedKey>>(
        reads_.queue(),
        [this, last = std::move(last), most] { return reads_.reader().keys_after(last, most); },
        std::move(answer));
  }

  // An empty outbox is found out without taking the write lock from the others.
  void take_unsent(size_t most, Duration lease, Answer<std::vector<TakenEvent>> answer) override {
    ask<bool>(
        reads_.queue(), [this] { return reads_.reader().has_unsent(wall_now()); },
        [this, most, lease, answer = std::move(answer)](Result<bool> found) {
          if (!found) return answer(found.error());
          if (!*found) return answer(std::vector<TakenEvent>());
          ask<std::vector<TakenEvent>>(
              writes_.queue(),
              [this, most, lease] { return events().take_unsent(most, lease, wall_now()); },
              answer);
        });
  }

  void mark_sent(std::vector<std::string> event_ids, Answer<Ok> answer) override {
    ask<Ok>(
        writes_.queue(),
        [this, ids = std::move(event_ids)] { return events().mark_sent(ids, wall_now()); },
        std::move(answer));
  }

  void give_back(std::vector<std::string> event_ids, Duration after, Answer<Ok> answer) override {
    const WallTime until = wall_now() + std::chrono::duration_cast<WallTime::duration>(after);
    ask<Ok>(
        writes_.queue(),
        [this, ids = std::move(event_ids), until] { return events().give_back(ids, until); },
        std::move(answer));
  }

  void outbox_depth(Answer<OutboxDepth> answer) override {
    ask<OutboxDepth>(
        reads_.queue(), [this] { return reads_.reader().outbox_depth(wall_now()); },
        std::move(answer));
  }

  void recent_events(int64_t after, size_t most, Answer<std::vector<PlacedEvent>> answer) override {
    ask<std::vector<PlacedEvent>>(
        reads_.queue(), [this, after, most] { return reads_.reader().recent_events(after, most); },
        std::move(answer));
  }

  void apply(Event event, Handling handling, Answer<Applied> answer) override {
    ask<Applied>(
        writes_.queue(),
        [this, event = std::move(event), handling = std::move(handling)] {
          return events().apply(event, handling, wall_now());
        },
        std::move(answer));
  }

  void park(Event event, std::string consumer, std::string reason, Answer<Ok> answer) override {
    ask<Ok>(
        writes_.queue(),
        [this, event = std::move(event), consumer = std::move(consumer),
         reason = std::move(reason)] { return events().park(event, consumer, reason, wall_now()); },
        std::move(answer));
  }

  size_t queue_depth() const noexcept override { return writes_.depth(); }
  std::string_view text() const noexcept override { return text_; }

 private:
  void write(NewOrder order, Answer<Placed> answer) {
    ask<Placed>(
        writes_.queue(),
        [this, order = std::move(order)] { return writes_.writer().place(order, wall_now()); },
        [this, answer = std::move(answer)](Result<Placed> placed) {
          if (placed && placed->verdict == Verdict::sold_out) {
            scarce_[placed->product_id] = placed->available;
          }
          answer(std::move(placed));
        });
  }

  bool is_scarce(const NewOrder& order) const noexcept {
    return std::ranges::any_of(order.lines, [this](const OrderLine& line) {
      const auto found = scarce_.find(line.product_id);
      return found != scarce_.end() && line.quantity > found->second;
    });
  }

  template <typename T>
  void ask(JobQueue& queue, std::function<Result<T>()> call, Answer<T> answer) {
    auto refused = queue.push(std::make_unique<CallJob<T>>(monotonic_now() + kPatience,
                                                           std::move(call), std::move(answer)));
    if (refused == nullptr) return;
    refused->fail(Error(Errc::kQueueFull, "too many calls wait for the database"));
    Jobs jobs;
    jobs.push_back(std::move(refused));
    door_.hand_back(std::move(jobs));
  }

  EventWriter& events() noexcept { return writes_.writer().events(); }

  std::string text_;
  // Products that somebody wanted more of than there was, and how much that was. A hint only.
  std::map<std::string, int64_t, std::less<>> scarce_;
  AnswerDoor door_;
  WriteThread writes_;
  ReadThread reads_;
  ReadThread counts_;
};

OpenedStore failed(const std::string& path, std::string_view why) {
  return {nullptr, fmt::format("cannot use the database {}: {}", path, why), false, 0};
}

}  // namespace

OpenedStore open_sqlite_store(loop::Loop& loop, const std::string& path,
                              const std::vector<Product>& seed) {
  auto write = Database::open(path, Database::Mode::create);
  if (!write) return failed(path, write.error().text());
  Random random;
  const Patience patience{monotonic_now() + 5 * OrderStore::kPatience, wait_for};
  const SchemaResult schema = prepare_schema(*write, patience, random, seed);
  if (!schema.problem.empty()) return failed(path, schema.problem);
  auto read = Database::open(path, Database::Mode::read);
  if (!read) return failed(path, read.error().text());
  auto count = Database::open(path, Database::Mode::read);
  if (!count) return failed(path, count.error().text());
  OpenedStore opened;
  opened.store = std::make_unique<SqliteStore>(loop, path, *std::move(write), *std::move(read),
                                               *std::move(count));
  opened.is_new = schema.is_new;
  opened.migrated_from = schema.migrated_from;
  return opened;
}

}  // namespace sluice::orders
