// Where a purge goes, what it says, and what is made of the answer; orders_purge_test.cc of the
// end-to-end tests has the rest.
#include <doctest/doctest.h>

#include "sluice/orders/purge/purge_call.h"
#include "sluice/orders/purge/purge_target.h"
#include "sluice/orders/purge/purger.h"

using namespace sluice::orders;

TEST_CASE("orders/purge: a target is what sluice purge --admin takes") {
  PurgeTarget target;
  CHECK(read_purge_target("http://127.0.0.1:9901", &target) == "");
  CHECK(target.host == "127.0.0.1");
  CHECK(target.port == 9901);
  CHECK(target.text() == "http://127.0.0.1:9901");
  CHECK(read_purge_target("http://edge-2.example:80/", &target) == "");
  CHECK(target.text() == "http://edge-2.example:80");
  CHECK(read_purge_target("http://[::1]:9901", &target) == "");
  CHECK(target.host == "::1");
  CHECK(target.text() == "http://[::1]:9901");
  CHECK(read_purge_target("unix:/run/sluice/admin.sock", &target) == "");
  CHECK(target.path == "/run/sluice/admin.sock");
  CHECK(target.text() == "unix:/run/sluice/admin.sock");
}

TEST_CASE("orders/purge: what is no target is one line, which shows no password") {
  const std::string long_path = "unix:/" + std::string(200, 'x');
  for (const char* text :
       {"", "127.0.0.1:9901", "http://", "http://127.0.0.1", "http://:9901", "http://a:0",
        "http://a:65536", "http://a:x", "http://::1:9901", "http://[a]:1", "http://a b:1",
        "http://a:1/purge", "https://a:1", "http://user:secret@a:1", "ftp://user:secret@a:1",
        "unix:", long_path.c_str()}) {
    CAPTURE(text);
    PurgeTarget target;
    const std::string problem = read_purge_target(text, &target);
    CHECK(problem != "");
    CHECK(problem.find("secret") == std::string::npos);
    CHECK(problem.find('\n') == std::string::npos);
  }
}

TEST_CASE("orders/purge: the status of an answer is known as soon as it is there") {
  CHECK(status_in("") == 0);
  CHECK(status_in("HTTP/1.1 20") == 0);
  CHECK(status_in("HTTP/1.1 200") == 200);
  CHECK(status_in("HTTP/1.0 403 Forbidden\r\n") == 403);
  CHECK(status_in("HTTP/1.1 2x0") == -1);
  CHECK(status_in("SSH-2.0-") == -1);
}

TEST_CASE("orders/purge: every answer with a stock has the tag of all products") {
  CHECK(purge_tags({}) == std::vector<std::string>{"products"});
  CHECK(purge_tags({"p1", "p2"}) ==
        std::vector<std::string>{"products", "product-p1", "product-p2"});
}
