// A server and a call as the admin API sees them, without a socket or a loop of their own.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

#include "sluice/admin/api.h"
#include "sluice/loop/loop.h"

namespace sluice::admin::test {

class FakeCall final : public proxy::HandlerCall {
 public:
  explicit FakeCall(loop::Loop& loop) : loop_(loop) {}
  const proxy::HandlerRequest& request() const noexcept override { return asked; }
  loop::Loop& loop() noexcept override { return loop_; }
  void reply(proxy::HandlerReply reply) override {
    CHECK_FALSE(is_answered);
    is_answered = true;
    answer = std::move(reply);
  }
  void begin(proxy::HandlerReply) override {}
  void write(std::string_view) override {}
  void end() override {}
  size_t pending() const noexcept override { return 0; }
  bool is_gone() const noexcept override { return false; }
  void on_gone(std::function<void()>) override {}

  proxy::HandlerRequest asked;
  proxy::HandlerReply answer;
  bool is_answered = false;

 private:
  loop::Loop& loop_;
};

inline config::SnapshotPtr make_sample_snapshot() {
  config::Config config;
  config::Pool pool;
  pool.name = "orders";
  for (const auto& [name, port] : {std::pair{"a", 9001}, std::pair{"127.0.0.1:9002", 9002}}) {
    config::Endpoint endpoint;
    endpoint.name = name;
    endpoint.address.host = "127.0.0.1";
    endpoint.address.port = static_cast<uint16_t>(port);
    pool.endpoints.push_back(std::move(endpoint));
  }
  config.pools.push_back(std::move(pool));
  config::Route route;
  route.name = "all";
  route.pool = "orders";
  route.cache.emplace();
  config.routes.push_back(std::move(route));
  return config::make_snapshot(std::move(config), 7);
}

class FakePort final : public Port {
 public:
  FakePort() {
    registry_.apply(*snapshot_);
    now.version = "9.9.9";
    now.uptime = std::chrono::seconds(61);
    now.workers = 2;
    now.phase = Phase::serving;
    now.generation = 7;
    now.listeners = {{"web", "0.0.0.0:8080", 12, 1}};
    now.connections = {7, 5};
  }
  ServerFacts facts() const override { return now; }
  const config::Snapshot& snapshot() const override { return *snapshot_; }
  upstream::Registry& registry() override { return registry_; }
  void reload(std::function<void(const ReloadOutcome&)> done) override { asked.push_back(done); }
  cache::Cache& cache() override { return cache_; }
  std::optional<cache::SharedAccess> shared_access(const Hash128&) override { return {}; }
  size_t purge(const cache::PurgeOrder& order) override {
    purges.push_back(to_text(order));
    ChunkPool chunks;
    Arena arena(chunks);
    return cache::purge_memory(cache_.store, cache_.secret, order, arena);
  }
  void count_purge(cache::PurgeKind) override { ++purge_count; }

  upstream::Endpoint& endpoint(size_t index) { return *registry_.pools()[0].endpoints[index]; }

  stats::NameTable names;
  ServerFacts now;
  std::vector<std::function<void(const ReloadOutcome&)>> asked;
  std::vector<std::string> purges;  // as text
  size_t purge_count = 0;

 private:
  cache::Cache cache_{{}, "test:", 1};
  config::SnapshotPtr snapshot_ = make_sample_snapshot();
  upstream::Registry registry_{2, names};
};

struct ApiFixture {
  // The answer to one request; fields as in {"host", "127.0.0.1"}.
  std::shared_ptr<FakeCall> ask(const std::string& method, const std::string& target,
                                std::string body = {},
                                std::vector<std::pair<std::string, std::string>> fields = {}) {
    auto call = std::make_shared<FakeCall>(loop);
    const size_t question = target.find('?');
    call->asked.method = http::method_of(method);
    call->asked.method_text = method;
    call->asked.path = target.substr(0, question);
    if (question != std::string::npos) call->asked.query = target.substr(question + 1);
    call->asked.body = std::move(body);
    call->asked.client_ip = "127.0.0.1";
    fields.emplace_back("host", "127.0.0.1:9901");
    call->asked.fields = std::move(fields);
    api.handle(call);
    return call;
  }
  proxy::HandlerReply get(const std::string& target) { return ask("GET", target)->answer; }
  proxy::HandlerReply post(const std::string& target, std::string body) {
    return ask("POST", target, std::move(body))->answer;
  }

  loop::Loop loop;
  FakePort port;
  stats::Collect collect;
  Api api{port, collect, port.names};
};

}  // namespace sluice::admin::test
