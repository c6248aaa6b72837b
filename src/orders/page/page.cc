#include "sluice/orders/page/page.h"

#include <string>

namespace sluice::orders {
namespace {

// No script, style or connection but those of the page's own origin, and nobody may frame it.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

proxy::HandlerReply page_reply(PagePart part) {
  const auto reply = [](const char* type, std::string_view text) {
    return proxy::HandlerReply{200,
                               {{"Content-Type", type},
                                {"Cache-Control", "no-cache"},
                                {"Content-Security-Policy", kPolicy},
                                {"X-Content-Type-Options", "nosniff"},
                                {"Referrer-Policy", "no-referrer"}},
                               std::string(text)};
  };
  switch (part) {
    case PagePart::html:
      return reply("text/html; charset=utf-8", page_html());
    case PagePart::css:
      return reply("text/css; charset=utf-8", page_css());
    case PagePart::js:
      return reply("text/javascript; charset=utf-8", page_js());
  }
  return {};
}

}  // namespace sluice::orders
