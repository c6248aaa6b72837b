#include "sluice/orders/options.h"

#include <fstream>

#include "support.h"

using namespace sluice;
using namespace sluice::orders;

namespace {

CommandLine read(std::vector<std::string> words) {
  words.insert(words.begin(), "sluice-orders");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return read_command_line(static_cast<int>(argv.size()), argv.data());
}

CommandLine serve(std::vector<std::string> more) {
  std::vector<std::string> words = {"serve", "--listen", "127.0.0.1:9001", "--db", "sqlite:o.db"};
  words.insert(words.end(), more.begin(), more.end());
  return read(std::move(words));
}

}  // namespace

TEST_CASE("orders/options: the smallest command line, and all of it") {
  CommandLine line = serve({});
  REQUIRE(line.action == CommandLine::Action::serve);
  CHECK(line.serve.listen.to_string() == "127.0.0.1:9001");
  CHECK(line.serve.database == "sqlite:o.db");
  CHECK(line.serve.queue == "embedded");
  CHECK_FALSE(line.serve.is_async);
  CHECK(line.serve.user_limit == 0);
  CHECK(line.serve.rate_limit == 0);
  CHECK(line.serve.name == "");
  CHECK_FALSE(line.serve.allow_restock);
  CHECK(line.serve.seed.size() == 5);
  CHECK(line.serve.fail_rate == 0);

  test::TemporaryFolder folder;
  const std::string seed = folder.file("seed.json");
  std::ofstream(seed) << R"({"products":[{"id":"x","name":"X","price_cents":5,"stock":7}]})";
  line = serve({"--queue",
                "embedded",
                "--name",
                "a",
                "--allow-restock",
                "--seed",
                seed,
                "--delay",
                "250",
                "--fail-rate",
                "0.25",
                "--async",
                "--user-limit",
                "3",
                "--rate-limit",
                "100/s",
                "--purge",
                "http://127.0.0.1:9901",
                "--purge",
                "unix:/run/s.sock"});
  REQUIRE(line.action == CommandLine::Action::serve);
  CHECK(line.serve.name == "a");
  CHECK(line.serve.allow_restock);
  CHECK(line.serve.seed == std::vector<Product>{{"x", "X", 5, 7}});
  CHECK(line.serve.delay == std::chrono::milliseconds(250));
  CHECK(line.serve.fail_rate == 0.25);
  CHECK(line.serve.is_async);
  CHECK(line.serve.user_limit == 3);
  CHECK(line.serve.rate_limit == 100);
  REQUIRE(line.serve.purge.size() == 2);
  CHECK(line.serve.purge[0].text() == "http://127.0.0.1:9901");
  CHECK(line.serve.purge[1].path == "/run/s.sock");
  CHECK(serve({"--rate-limit", "7"}).serve.rate_limit == 7);
}

TEST_CASE("orders/options: where it may listen") {
  for (const char* good : {"0.0.0.0:0", "[::1]:9001", "unix:/run/o.sock"}) {
    CAPTURE(good);
    const CommandLine line = read({"serve", "--listen", good, "--db", "sqlite:o.db"});
    CHECK(line.action == CommandLine::Action::serve);
    CHECK(line.serve.listen.to_string() == good);
  }
  for (const char* bad : {"9001", ":9001", "localhost:9001", "127.0.0.1", "127.0.0.1:65536",
                          "127.0.0.1:x", "::1:9001", "[127.0.0.1]:9001", "unix:", ""}) {
    CAPTURE(bad);
    const CommandLine line = read({"serve", "--listen", bad, "--db", "sqlite:o.db"});
    CHECK(line.action == CommandLine::Action::exit);
    CHECK(line.exit_code == 2);
  }
}

TEST_CASE("orders/options: what is wrong or comes later is usage, exit code 2") {
  const std::vector<std::vector<std::string>> cases = {
      {"--nothing"},
      {"--queue", "amqps://localhost"},
      {"--queue", "amqp://u:p@localhost:x"},
      {"--queue", "kafka://localhost/events"},
      {"--queue", "other"},
      {"--stock", "http://localhost"},
      {"--stock", "redis://user:s3cret@:0/x"},
      {"--stock-away", "wait"},
      {"--stock-hold", "1"},
      {"--user-limit", "0"},
      {"--user-limit", "x"},
      {"--rate-limit", "0/s"},
      {"--rate-limit", "100/m"},
      {"--rate-limit", "/s"},
      {"--rate-limit", "-1/s"},
      {"--purge", "127.0.0.1:9901"},
      {"--purge", "https://user:secret@localhost:9901"},
      {"--delay", "-1"},
      {"--delay", "1s"},
      {"--fail-rate", "1.5"},
      {"--fail-rate", "x"},
      {"--fail-rate", "nan"},
      {"--name", "a\r\nX: b"},
      {"--seed", "/nonexistent/seed.json"},
  };
  for (const auto& more : cases) {
    CAPTURE(more[0]);
    const CommandLine line = serve(more);
    CHECK(line.action == CommandLine::Action::exit);
    CHECK(line.exit_code == 2);
  }
  for (const char* db :
       {"mysql://localhost/x", "postgres://a,b/x", "o.db", "sqlite:", "sqlite::memory:"}) {
    CAPTURE(db);
    CHECK(read({"serve", "--listen", "127.0.0.1:0", "--db", db}).exit_code == 2);
  }
  CHECK(read({"serve", "--db", "sqlite:x"}).exit_code == 2);
  CHECK(read({}).exit_code == 2);
}

TEST_CASE("orders/options: a stock gate") {
  CommandLine line = serve(
      {"--stock", "redis://localhost:6380/2", "--stock-away", "refuse", "--stock-hold", "2000"});
  REQUIRE(line.action == CommandLine::Action::serve);
  CHECK(line.serve.gate.url == "redis://localhost:6380/2");
  CHECK(line.serve.gate.away == StockAway::refuse);
  CHECK(line.serve.gate.hold == std::chrono::seconds(2));
  line = serve({});
  CHECK(line.serve.gate.url == "");
  CHECK(line.serve.gate.away == StockAway::update);
  line = read({"work", "--db", "sqlite:o.db", "--stock", "unix:/run/redis.sock"});
  REQUIRE(line.action == CommandLine::Action::work);
  CHECK(line.work.stock == "unix:/run/redis.sock");
  line = read({"repair", "--db", "sqlite:o.db", "--stock", "redis://h", "--dry-run"});
  REQUIRE(line.action == CommandLine::Action::repair);
  CHECK(line.repair.is_dry);
  CHECK(read({"repair", "--db", "sqlite:o.db"}).exit_code == 2);
  CHECK(read({"repair", "--db", "sqlite:o.db", "--stock", ""}).exit_code == 2);
  CHECK(stock_url_problem("http://u:s3cret@h").find("s3cret") == std::string::npos);
  CHECK(stock_text("redis://u:s3cret@h:1/2").find("s3cret") == std::string::npos);
}

TEST_CASE("orders/options: work") {
  CommandLine line = read({"work", "--db", "sqlite:o.db"});
  REQUIRE(line.action == CommandLine::Action::work);
  CHECK(line.work.database == "sqlite:o.db");
  CHECK(line.work.queue == "embedded");
  CHECK(line.work.fail_payments == 0);
  line = read({"work", "--db", "sqlite:o.db", "--queue", "embedded", "--name", "w",
               "--fail-payments", "0.5", "--attempts", "2"});
  REQUIRE(line.action == CommandLine::Action::work);
  CHECK(line.work.name == "w");
  CHECK(line.work.fail_payments == 0.5);
  CHECK(line.work.most_attempts == 2);
  const std::vector<std::vector<std::string>> cases = {
      {"work"},
      {"work", "--db", "o.db"},
      {"work", "--db", "sqlite:o.db", "--queue", "other"},
      {"work", "--db", "sqlite:o.db", "--fail-payments", "2"},
      {"work", "--db", "sqlite:o.db", "--attempts", "0"},
      {"work", "--db", "sqlite:o.db", "--listen", "127.0.0.1:1"},
  };
  for (const auto& words : cases) {
    CAPTURE(words.back());
    CHECK(read(words).exit_code == 2);
  }
}
