#include "sluice/http/fields.h"

#include <doctest/doctest.h>

#include <string>

#include "sluice/http/chars.h"
#include "sluice/http/message.h"

using namespace sluice::http;

TEST_CASE("http/fields: every known name is found in any case, and gives its name back") {
  for (int i = 1; i < static_cast<int>(FieldId::kCount); ++i) {
    const auto id = static_cast<FieldId>(i);
    const std::string name(field_name(id));
    std::string upper = name;
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    CAPTURE(name);
    CHECK(field_id(name) == id);
    CHECK(field_id(upper) == id);
    const bool is_forwarded = name.starts_with("x-forwarded-");
    CHECK(field_id(name + "x") == (is_forwarded ? FieldId::kXForwardedOther : FieldId::kOther));
  }
}

TEST_CASE("http/fields: names near to known ones are other") {
  for (std::string_view name : {"", "x", "hos", "hots", "content-lengh", "content_length",
                                "transfer-encodinG ", "hxst", "x-forwarded", "connectiom"}) {
    CAPTURE(name);
    CHECK(field_id(name) == FieldId::kOther);
  }
  CHECK(field_id("X-Forwarded-Port") == FieldId::kXForwardedOther);
}

TEST_CASE("http/fields: hop-by-hop fields (RFC 9110 7.6.1)") {
  for (std::string_view name : {"connection", "keep-alive", "proxy-connection", "te",
                                "transfer-encoding", "upgrade", "http2-settings"}) {
    CHECK(is_hop_by_hop(field_id(name)));
  }
  for (std::string_view name : {"host", "content-length", "via", "trailer", "x-own"}) {
    CHECK_FALSE(is_hop_by_hop(field_id(name)));
  }
}

TEST_CASE("http/fields: a list finds by id and by name, and knows what is absent or repeated") {
  const Field rows[] = {{"Host", "a", FieldId::kHost},
                        {"X-Own", "1", FieldId::kOther},
                        {"Via", "1.1 a", FieldId::kVia},
                        {"x-own-2", "2", FieldId::kOther},
                        {"via", "1.1 b", FieldId::kVia}};
  const FieldList list{rows};
  CHECK(list.find(FieldId::kHost) == &rows[0]);
  CHECK(list.find("HOST") == &rows[0]);
  CHECK(list.find("X-OWN-2") == &rows[3]);
  CHECK(list.find("x-own-3") == nullptr);
  CHECK(list.find(FieldId::kDate) == nullptr);
  CHECK(list.count(FieldId::kVia) == 2);
  CHECK(list.count(FieldId::kHost) == 1);
  CHECK(list.count(FieldId::kDate) == 0);
  CHECK(list.is_repeated(FieldId::kVia));
  CHECK_FALSE(list.is_repeated(FieldId::kHost));
  CHECK(FieldList().find("x-own") == nullptr);
}

TEST_CASE("http/chars: tokens are tchar only (RFC 9110 5.6.2)") {
  CHECK(is_token("!#$%&'*+-.^_`|~09azAZ"));
  for (char c : std::string_view("\"(),/:;<=>?@[\\]{} \t\r\n\x7f\x80\xff\0", 25)) {
    CHECK_FALSE(is_char(c, kCharToken));
  }
  CHECK_FALSE(is_token(""));
}
