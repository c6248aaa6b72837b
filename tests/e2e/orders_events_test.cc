// /events as a client without a browser sees it (HTML Living Standard section 9.2).
#include "tests/e2e/harness/postgres.h"
#include "tests/e2e/orders_support.h"

using namespace e2e;

namespace {

struct Told {
  std::string id, name;
  Json data;
};

// Reads a stream of events over chunks (RFC 9112 section 7.1), as they come.
class Stream {
 public:
  explicit Stream(Wire wire, const std::string& path = "/events", const std::string& lines = "")
      : wire_(std::move(wire)) {
    wire_.send(request_text(path, lines));
    head_ = wire_.read_head();
  }
  const Message& head() const { return head_; }
  Wire& wire() { return wire_; }

  // The next event; comments and fields that stand alone are passed over.
  Told next() {
    while (true) {
      const size_t end = text_.find("\n\n");
      if (end == std::string::npos) {
        if (!read_chunk()) throw Failure("the stream ended");
        continue;
      }
      const Told told = parse(text_.substr(0, end));
      text_.erase(0, end + 2);
      if (!told.name.empty()) return told;
    }
  }
  // The states of the next so many orders' changes: "accepted paid".
  std::string states(int count) {
    std::string all;
    for (int i = 0; i < count; ++i)
      all += (i > 0 ? " " : "") + next_order().at("status").get<std::string>();
    return all;
  }
  Json next_order() {
    for (Told told = next();; told = next()) {
      if (told.name != "order") continue;
      last_id_ = told.id;
      return told.data;
    }
  }
  const std::string& last_id() const { return last_id_; }
  // Whether the end comes as the protocol has it, with the last chunk.
  bool ends() {
    while (read_chunk()) {
    }
    return true;
  }

 private:
  static Told parse(const std::string& block) {
    Told told;
    for (size_t at = 0; at < block.size();) {
      const size_t end = std::min(block.find('\n', at), block.size());
      const std::string line = block.substr(at, end - at);
      at = end + 1;
      if (line.starts_with("id: ")) told.id = line.substr(4);
      if (line.starts_with("event: ")) told.name = line.substr(7);
      if (line.starts_with("data: ")) told.data = Json::parse(line.substr(6));
    }
    return told;
  }
  bool read_chunk() {
    const size_t size = std::stoul(wire_.read_until("\r\n"), nullptr, 16);
    text_ += wire_.read_exactly(size);
    wire_.read_exactly(2);
    return size > 0;
  }

  Wire wire_;
  Message head_;
  std::string text_, last_id_;
};

}  // namespace

TEST_CASE("e2e/orders: /events tells what workers do, to all, without names of users") {
  TempDir dir;
  OrdersServer a(dir, "a"), b(dir, "b");
  Sluice sluice("pools: {orders: {endpoints: [{address: \"@b\"}], health: {type: off}}}",
                {{"b", b.address()}});
  Stream here(a.wire()), there(Wire::to_port(sluice.port()));
  CHECK(here.head().start == "HTTP/1.1 200 OK");
  CHECK(here.head().field("Content-Type") == "text/event-stream");
  CHECK(here.head().field("Cache-Control") == "no-store");
  CHECK(here.head().field("X-Backend") == "a");
  CHECK(here.next().data == Json{{"backend", "a"}});
  CHECK(there.next().data == Json{{"backend", "b"}});
  OrdersWorker worker(dir, "w");
  const Message placed = a.order("k1", 2);
  const std::string id = Json::parse(placed.body).at("order_id");
  for (Stream* stream : {&here, &there}) {
    const Json first = stream->next_order();
    CHECK(first.at("order_id") == id);
    CHECK(first.at("version") == 1);
    CHECK(first.at("items") == Json{{{"product_id", "p1"}, {"quantity", 2}}});
    CHECK(first.size() == 5);
    CHECK_FALSE(first.contains("user_id"));
    CHECK(stream->states(2) == "paid shipped");
  }
  CHECK(a.value("sluice_orders_event_viewers") == 1);
}

TEST_CASE("e2e/orders: who comes back to /events gets what it missed, and from any backend") {
  TempDir dir;
  OrdersServer a(dir, "a"), b(dir, "b");
  std::string seen;
  {
    Stream stream(a.wire());
    for (int i = 0; i < 3; ++i) REQUIRE(a.order("k" + std::to_string(i)).status == 201);
    stream.next_order();
    stream.next_order();
    seen = stream.last_id();
  }
  for (const OrdersServer* server : {&a, &b}) {
    Stream by_field(server->wire(), "/events", "Last-Event-ID: " + seen + "\r\n");
    by_field.next_order();
    CHECK(by_field.last_id() == std::to_string(std::stoi(seen) + 1));
    Stream by_query(server->wire(), "/events?after=" + seen);
    by_query.next_order();
    CHECK(by_query.last_id() == std::to_string(std::stoi(seen) + 1));
  }
  // A new one gets all of late; so does one whose place is no number.
  for (const char* place : {"", "Last-Event-ID: x\r\n", "Last-Event-ID: -1\r\n"}) {
    Stream stream(a.wire(), "/events", place);
    CHECK(stream.states(3) == "accepted accepted accepted");
  }
  // More than a process keeps: that something is left out is said.
  for (int i = 0; i < 120; ++i) REQUIRE(b.order("more" + std::to_string(i)).status == 201);
  Stream late(b.wire(), "/events", "Last-Event-ID: " + seen + "\r\n");
  CHECK(late.next().name == "hello");
  CHECK(late.next().name == "skipped");
  for (int i = 0; i < 100; ++i) late.next_order();
  CHECK(late.last_id() == "123");
}

TEST_CASE("e2e/orders: a viewer of /events that does not read is ended, others are not") {
  TempDir dir;
  Json seed = {{"products", Json::array()}}, items = Json::array();
  for (char letter = 'a'; letter < 'k'; ++letter) {
    const std::string id(60, letter);  // makes large events
    seed["products"].push_back({{"id", id}, {"name", "P"}, {"price_cents", 1}, {"stock", 100'000}});
    items.push_back({{"product_id", id}, {"quantity", 1}});
  }
  write_file(dir.path("seed.json"), seed.dump());
  OrdersServer a(dir, "a", {"--seed", dir.path("seed.json")});
  const Json order = {{"user_id", "u1"}, {"items", items}};
  Stream good(a.wire());
  Wire lazy = a.wire();
  lazy.send(request_text("/events"));
  // What fits into the sockets, and then what the feed lets wait.
  const auto is_cut = [&] {
    return a.value("sluice_orders_event_viewers_total", "what=\"cut\"") == 1;
  };
  for (int i = 0; !is_cut(); i += 50) {
    REQUIRE(i < 5000);
    for (int n = i; n < i + 50; ++n) {
      REQUIRE(a.post("/orders", "k" + std::to_string(n), order).status == 201);
    }
    for (int n = 0; n < 50; ++n) CHECK(good.next_order().at("items").size() == 10);
  }
  CHECK(a.value("sluice_orders_event_viewers") == 1);
  // It gets what was written for it, and a proper end.
  CHECK(lazy.read_response().complete);
  REQUIRE(a.post("/orders", "last", order).status == 201);
  CHECK(good.next_order().at("status") == "accepted");
}

TEST_CASE("e2e/orders: when a backend drains, /events ends at once and properly") {
  TempDir dir;
  OrdersServer a(dir, "a");
  Stream one(a.wire()), two(a.wire());
  CHECK(one.next().name == "hello");
  const milliseconds took = time_of([&] {
    a.process().process().signal(SIGTERM);
    CHECK(one.ends());
    CHECK(two.ends());
    CHECK(a.process().process().wait(kPatience) == 0);
  });
  CHECK(took < milliseconds(4000));  // the drain's own deadline is 5 s
}

TEST_CASE("e2e/orders: /events has HEAD, no other methods, and room for so many") {
  TempDir dir;
  OrdersServer a(dir, "a");
  Wire wire = a.wire();
  wire.send(request_text("/events", "", "HEAD"));
  const Message head = wire.read_response("HEAD");
  CHECK(head.status == 200);
  CHECK(head.field("Content-Type") == "text/event-stream");
  CHECK_FALSE(head.has("Content-Length"));  // RFC 9110 section 9.3.2: as GET would say
  wire.send(request_text("/events", "", "POST"));
  const Message refused = wire.read_response("POST");
  CHECK(refused.status == 405);
  CHECK(refused.field("Allow") == "GET, HEAD");

  std::vector<std::unique_ptr<Stream>> viewers;
  for (int i = 0; i < 200; ++i) viewers.push_back(std::make_unique<Stream>(a.wire()));
  const Message full = a.ask("/events");
  CHECK(full.status == 503);
  CHECK(full.has("Retry-After"));
  CHECK(Json::parse(full.body).at("type").get<std::string>().ends_with("/too_many_viewers"));
  // Who leaves makes room.
  viewers.pop_back();
  CHECK(eventually([&] { return Stream(a.wire()).head().start == "HTTP/1.1 200 OK"; }));
  CHECK(a.order("k1").status == 201);
  for (const auto& viewer : viewers) CHECK(viewer->next_order().at("version") == 1);
}

TEST_CASE("e2e/orders: /events tells an event of PostgreSQL that is seen late, too") {
  TempDir dir;
  Postgres postgres;
  const std::string database = postgres.make_database();
  OrdersServer a(dir, "a", {"--db", postgres.url(database)});
  Stream stream(a.wire());
  // A transaction has taken the place, and commits after the next one.
  const std::string place =
      postgres.sql(database, "SELECT nextval(pg_get_serial_sequence('outbox', 'seq'))");
  REQUIRE(a.order("k1").status == 201);
  CHECK(stream.next_order().at("version") == 1);
  CHECK(std::stoi(stream.last_id()) < std::stoi(place));
  postgres.sql(database,
               "INSERT INTO outbox (seq, event_id, order_id, version, type, payload, request_id, "
               "traceparent, created_ms, sent_ms) OVERRIDING SYSTEM VALUE VALUES (" +
                   place + ", 'late-1', 'late', 1, 'order.accepted', '{}', '', '', 0, 1)");
  CHECK(stream.next_order().at("order_id") == "late");
  CHECK(std::stoi(stream.last_id()) > std::stoi(place));
  // While the server hangs the viewers stay.
  postgres.freeze();
  CHECK(a.ask("/products").status == 503);
  postgres.thaw();
  REQUIRE(eventually([&] { return a.order("k2").status == 201; }));
  CHECK(stream.next_order().at("status") == "accepted");
}
