#include "sluice/cache/vary.h"

#include "entries.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

std::string names_of(Fields::Lines response) {
  Memory memory;
  const Fields fields(std::move(response));
  const auto names = vary_names(fields.list(), memory.arena);
  if (!names) return "*";
  std::string text;
  for (const std::string_view name : *names) text += std::string(name) + " ";
  return text;
}

struct Chosen {
  MemoryBudget budget{1 << 30};
  Memory memory;
  std::vector<Ref<Entry>> variants;

  void add(const Made& made) { variants.push_back(make_entry(budget, memory.key("/"), made)); }
  std::string choose(Fields::Lines request) {
    const Fields fields(std::move(request));
    const Entry* entry = choose_variant(variants, fields.list(), memory.arena);
    return entry == nullptr ? "(none)" : text_of(*entry);
  }
};

}  // namespace

TEST_CASE("cache/vary: names are lower case, sorted, each once; a star matches nothing") {
  CHECK(names_of({}) == "");
  CHECK(names_of({{"Vary", ""}}) == "");
  CHECK(names_of({{"Vary", "B, a,,  C"}, {"Vary", "A"}}) == "a b c ");
  CHECK(names_of({{"Vary", "*"}}) == "*");
  CHECK(names_of({{"Vary", "a, *"}}) == "*");
  CHECK(names_of({{"Vary", "a"}, {"Vary", "*"}}) == "*");
  CHECK(names_of({{"Vary", "a b"}}) == "*");
  CHECK(names_of({{"Vary", "\"a\""}}) == "*");
  std::string many = "n0";
  for (int i = 1; i < 16; ++i) many += ",n" + std::to_string(i);
  CHECK(names_of({{"Vary", many}}) != "*");
  CHECK(names_of({{"Vary", many + ",x"}}) == "*");
}

TEST_CASE("cache/vary: all nominated fields must match in normal form (RFC 9111 4.1)") {
  const struct {
    std::string_view vary;
    Fields::Lines stored, asked;
    bool matches;
  } cases[] = {
      {"", {{"a", "1"}}, {{"a", "2"}}, true},
      {"A", {{"a", "1"}}, {{"A", "1"}}, true},
      {"A", {{"a", "1"}}, {{"a", "2"}}, false},
      {"A", {{"a", "1"}}, {{"a", "1"}, {"b", "2"}}, true},
      {"A", {}, {}, true},
      {"A", {}, {{"a", ""}}, false},  // absent is not empty
      {"A", {{"a", ""}}, {}, false},
      {"A", {{"a", "1,2"}}, {{"a", "1"}, {"a", "2"}}, true},
      {"A", {{"a", "1, 2"}}, {{"a", "1,2"}}, true},
      {"A", {{"a", "1"}}, {{"a", "1 2"}}, false},
      {"A, B", {{"a", "1"}, {"b", "2"}}, {{"b", "2"}, {"a", "1"}}, true},
      {"A, B", {{"a", "1"}, {"b", "2"}}, {{"a", "1"}}, false},
      {"Accept-Encoding",
       {{"accept-encoding", "gzip, br"}},
       {{"accept-encoding", "br,GZIP"}},
       true},
      {"Accept-Encoding", {{"accept-encoding", "gzip"}}, {{"accept-encoding", "br"}}, false},
      {"Accept-Language", {{"accept-language", "en, de"}}, {{"accept-language", "de,en"}}, true},
      {"Accept-Language", {{"accept-language", "en"}}, {{"accept-language", "de"}}, false},
  };
  for (const auto& row : cases) {
    Chosen chosen;
    Made made;
    made.response = {{"Vary", std::string(row.vary)}};
    made.request = row.stored;
    chosen.add(made);
    CHECK_MESSAGE((chosen.choose(row.asked) == "hello") == row.matches, row.vary);
  }
}

TEST_CASE("cache/vary: of several that match the most recent by Date (RFC 9111 4.1)") {
  Chosen chosen;
  Made made;
  made.body = "old", made.date = 1000;
  chosen.add(made);
  made.response = {{"Vary", "A"}}, made.request = {{"a", "1"}};
  made.body = "new", made.date = 2000;
  chosen.add(made);
  made.body = "middle", made.date = 1500;
  chosen.add(made);
  CHECK(chosen.choose({{"a", "1"}}) == "new");
  CHECK(chosen.choose({{"a", "2"}}) == "old");
}

TEST_CASE("cache/vary: a stored variant in the language that is liked best serves") {
  Chosen chosen;
  Made made;
  made.response = {{"Vary", "Accept-Language, A"}, {"Content-Language", "de"}};
  made.request = {{"accept-language", "en, de"}};
  made.body = "deutsch";
  chosen.add(made);
  made.response = {{"Vary", "Accept-Language, A"}, {"Content-Language", "fr"}};
  made.request = {{"accept-language", "fr"}};
  made.body = "francais";
  chosen.add(made);
  CHECK(chosen.choose({{"accept-language", "fr;q=0.5, de"}}) == "deutsch");
  CHECK(chosen.choose({{"accept-language", "de;q=0.5, fr"}}) == "francais");
  CHECK(chosen.choose({{"accept-language", "fr"}}) == "francais");
  CHECK(chosen.choose({{"accept-language", "it, de;q=0.9"}}) == "(none)");  // there may be better
  CHECK(chosen.choose({{"accept-language", "de;q=0"}}) == "(none)");
  CHECK(chosen.choose({}) == "(none)");
  CHECK(chosen.choose({{"accept-language", "de"}, {"a", "1"}}) == "(none)");
}
