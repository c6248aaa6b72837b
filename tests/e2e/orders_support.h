// A sluice-orders that serves or works, for the tests of what is seen of it from outside.
#pragma once

#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness/e2e.h"

namespace e2e {

// TERM at the end, and exit code 0.
class OrdersProcess {
 public:
  OrdersProcess(const TempDir& dir, const std::string& name, std::vector<std::string> words)
      : out_(dir.path(name + ".out")), err_(dir.path(name + ".err")), words_(std::move(words)) {
    words_.insert(words_.begin(), program("SLUICE_ORDERS"));
    words_.insert(words_.end(), {"--name", name});
    if (std::ranges::find(words_, "--db") == words_.end()) {
      words_.insert(words_.end(), {"--db", "sqlite:" + dir.path("orders.db")});
    }
    start();
  }
  ~OrdersProcess() {
    if (process_->poll_exit()) return;
    process_->signal(SIGTERM);
    CHECK(process_->wait(kPatience) == 0);
  }
  // Up when it has said its first line.
  void start() {
    write_file(out_, "");
    process_ = std::make_unique<Process>(words_, out_, err_);
    if (!eventually([this] { return out().find('\n') != std::string::npos; })) {
      throw Failure("sluice-orders is not up: " + log());
    }
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->wait(kPatience);
  }
  Process& process() { return *process_; }
  std::string out() const { return read_file(out_); }
  std::string log() const { return read_file(err_); }

 private:
  std::string out_, err_;
  std::vector<std::string> words_;
  std::unique_ptr<Process> process_;
};

class OrdersServer {
 public:
  OrdersServer(const TempDir& dir, const std::string& name, std::vector<std::string> more = {})
      : socket_(dir.path(name + ".sock")), process_(dir, name, words(std::move(more))) {}
  std::string address() const { return "unix:" + socket_; }
  OrdersProcess& process() { return process_; }
  Wire wire() const { return Wire::to_unix(socket_); }

  Message ask(const std::string& path, const std::string& method = "GET",
              const std::string& lines = "") const {
    Wire wire = this->wire();
    wire.send(request_text(path, lines, method));
    return wire.read_response(method);
  }
  Message post(const std::string& path, const std::string& key, const Json& body) const {
    const std::string text = body.dump();
    Wire wire = this->wire();
    wire.send(request_text(path,
                           "Content-Type: application/json\r\nIdempotency-Key: " + key +
                               "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n",
                           "POST") +
              text);
    return wire.read_response("POST");
  }
  Message order(const std::string& key, int quantity = 1, const std::string& product = "p1") const {
    return post(
        "/orders", key,
        {{"user_id", "u1"}, {"items", {{{"product_id", product}, {"quantity", quantity}}}}});
  }
  // Sum of the samples of a family whose labels contain the text.
  double value(const std::string& family, const std::string& labels = "") const {
    double sum = 0;
    const std::string text = ask("/metrics").body;
    for (size_t at = text.find("\n" + family); at != std::string::npos;
         at = text.find("\n" + family, at + 1)) {
      const std::string line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
      const char after = line[family.size()];
      if (line.find(labels) == std::string::npos || (after != '{' && after != ' ')) continue;
      sum += std::stod(line.substr(line.rfind(' ')));
    }
    return sum;
  }

 private:
  std::vector<std::string> words(std::vector<std::string> more) const {
    more.insert(more.begin(), {"serve", "--listen", address()});
    return more;
  }

  std::string socket_;
  OrdersProcess process_;
};

struct OrdersWorker : OrdersProcess {
  OrdersWorker(const TempDir& dir, const std::string& name) : OrdersProcess(dir, name, {"work"}) {}
};

}  // namespace e2e
