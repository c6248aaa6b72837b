#include "sluice/cache/policy_invalidate.h"

#include "policy_cases.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

using http::Method;

std::string targets_after(Method method, int status, const FieldRows& fields) {
  Judge judge;
  http::RequestHead request;
  request.method = method;
  http::ResponseHead response;
  response.status = status;
  response.fields = fields;
  std::string out;
  for (std::string_view target : judge_invalidation(request, kUrl, response, judge.arena).targets) {
    if (!out.empty()) out += ' ';
    out += target;
  }
  return out;
}

}  // namespace

TEST_CASE("cache/policy: unsafe methods make their target invalid (RFC 9111 4.4)") {
  struct Row {
    Method method;
    int status;
    std::string_view targets;
  };
  for (const Row& row : {
           Row{Method::post, 200, "/a/b?q=1"},
           Row{Method::put, 201, "/a/b?q=1"},
           Row{Method::delete_, 204, "/a/b?q=1"},
           Row{Method::patch, 303, "/a/b?q=1"},
           Row{Method::other, 200, "/a/b?q=1"},  // M-SEARCH and all that is not known to be safe
           Row{Method::post, 399, "/a/b?q=1"},
           Row{Method::post, 400, ""},
           Row{Method::post, 500, ""},
           Row{Method::get, 200, ""},
           Row{Method::head, 200, ""},
           Row{Method::options, 200, ""},
           Row{Method::trace, 200, ""},
       }) {
    CAPTURE(static_cast<int>(row.method));
    CAPTURE(row.status);
    CHECK(targets_after(row.method, row.status, {}) == row.targets);
  }
  Judge judge;
  http::RequestHead request;
  request.method = Method::other;
  http::ResponseHead response;
  response.status = 200;
  CHECK(judge_invalidation(request, {"http", "a", "*"}, response, judge.arena).is_empty());
}

TEST_CASE("cache/policy: Location and Content-Location of the same origin too (RFC 9111 4.4)") {
  struct Row {
    FieldRows fields;
    std::string_view targets;
  };
  const std::initializer_list<Row> rows = {
      {{{"Location", "/new"}}, "/a/b?q=1 /new"},
      {{{"Content-Location", "/new"}}, "/a/b?q=1 /new"},
      {{{"Location", "/x"}, {"Content-Location", "/y"}}, "/a/b?q=1 /x /y"},
      {{{"Location", "/x"}, {"Content-Location", "/x"}}, "/a/b?q=1 /x"},
      {{{"Location", "http://shop.example/x"}}, "/a/b?q=1 /x"},
      {{{"Location", "http://other.example/x"}}, "/a/b?q=1"},
      {{{"Location", "https://shop.example/x"}}, "/a/b?q=1"},
      {{{"Location", "http://shop.example:8080/x"}}, "/a/b?q=1"},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    CHECK(targets_after(Method::post, 201, row.fields) == row.targets);
    ++i;
  }
}

TEST_CASE("cache/policy: references against the target (RFC 3986 5.2, 5.4)") {
  struct Row {
    std::string_view reference, target;  // "-": another origin
  };
  const KeyUrl base{"http", "A.example:80", "/b/c/d;p?q"};
  for (const Row& row : {
           Row{"g", "/b/c/g"},
           Row{"./g", "/b/c/g"},
           Row{"g/", "/b/c/g/"},
           Row{"/g", "/g"},
           Row{"?y", "/b/c/d;p?y"},
           Row{"g?y", "/b/c/g?y"},
           Row{"#s", "/b/c/d;p?q"},
           Row{"g#s", "/b/c/g"},
           Row{"g?y#s", "/b/c/g?y"},
           Row{";x", "/b/c/;x"},
           Row{"", "/b/c/d;p?q"},
           Row{".", "/b/c/"},
           Row{"./", "/b/c/"},
           Row{"..", "/b/"},
           Row{"../", "/b/"},
           Row{"../g", "/b/g"},
           Row{"../..", "/"},
           Row{"../../g", "/g"},
           Row{"../../../g", "/g"},
           Row{"/./g", "/g"},
           Row{"/../g", "/g"},
           Row{"g.", "/b/c/g."},
           Row{"..g", "/b/c/..g"},
           Row{"./g/.", "/b/c/g/"},
           Row{"g/../h", "/b/c/h"},
           Row{"g?y/../x", "/b/c/g?y/../x"},
           Row{"http://a.example/x/../y?z", "/y?z"},
           Row{"HTTP://a.example", "/"},
           Row{"http://a.example:80?z", "/?z"},
           Row{"http://a.example:/x", "/x"},
           Row{"//a.example/x", "/x"},
           Row{"//b.example/x", "-"},
           Row{"http://a.example:81/x", "-"},
           Row{"https://a.example/x", "-"},
           Row{"http://user@a.example/x", "-"},
           Row{"http:g", "-"},
           Row{"mailto:a", "-"},
           Row{"g;x=1/y:z", "/b/c/g;x=1/y:z"},
       }) {
    CAPTURE(row.reference);
    Judge judge;
    const auto target = resolve_target(base, row.reference, judge.arena);
    CHECK(target.value_or("-") == row.target);
  }
}

TEST_CASE("cache/policy: Cache-Group-Invalidation names groups of the origin (RFC 9875 3)") {
  Judge judge;
  http::RequestHead request;
  http::ResponseHead response;
  const FieldRows fields{{"Cache-Group-Invalidation", "\"a\", \"b\""}};
  const auto tags = [&](Method method, int status, const FieldRows& rows) {
    request.method = method;
    response.status = status;
    response.fields = rows;
    return judge_invalidation(request, kUrl, response, judge.arena).tags;
  };
  const auto both = tags(Method::post, 200, fields);
  REQUIRE(both.size() == 2);
  CHECK(both[0] == group_tag(kUrl, "a", judge.arena));
  CHECK(both[1] == group_tag(kUrl, "b", judge.arena));
  CHECK(tags(Method::get, 200, fields).empty());
  CHECK(tags(Method::post, 500, fields).size() == 2);
  CHECK(targets_after(Method::post, 500, fields) == "");
  CHECK(tags(Method::post, 200, {{"Cache-Group-Invalidation", "a"}}).empty());

  // So many that the origin as a whole is meant.
  std::string many;
  for (size_t i = 0; i <= kMostGroups; ++i)
    many += (i == 0 ? "" : ", ") + ("\"g" + std::to_string(i)) + "\"";
  const FieldRows long_list{{"Cache-Group-Invalidation", many}};
  response.fields = long_list;
  const Invalidation all = judge_invalidation(request, kUrl, response, judge.arena);
  CHECK(all.is_all_of_origin);
  CHECK(all.tags.empty());

  // The same origin however it is written; another one has other groups, and case counts.
  const uint64_t group = group_tag(kUrl, "a", judge.arena);
  CHECK(group == group_tag({"http", "SHOP.example:80", "/"}, "a", judge.arena));
  CHECK(group != group_tag({"https", "shop.example", "/"}, "a", judge.arena));
  CHECK(group != group_tag({"http", "shop.example:81", "/"}, "a", judge.arena));
  CHECK(group != group_tag(kUrl, "A", judge.arena));
  CHECK(group != tag_hash("a"));
}
