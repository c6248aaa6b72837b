#include "sluice/orders/openapi.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kDocument = R"json({
  "openapi": "3.0.3",
  "info": {
    "title": "sluice-orders",
    "version": "0.1.0",
    "description": "The sample order backend of sluice: sells exactly what is in stock. Every answer has X-Backend, the name of the process that gave it. Every error is application/problem+json whose type ends in one word."
  },
  "paths": {
    "/orders": {
      "post": {
        "summary": "Order one or several products, all or nothing",
        "parameters": [
          {
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "1 to 255 visible ASCII characters, such as a UUID; remembered for 24 hours",
            "schema": {"type": "string"}
          }
        ],
        "requestBody": {
          "required": true,
          "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewOrder"}}}
        },
        "responses": {
          "201": {
            "description": "the order is committed",
            "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/AcceptedOrder"}}
            },
            "headers": {
              "Location": {"description": "/orders/ID", "schema": {"type": "string"}},
              "Idempotency-Replayed": {
                "description": "true when the key was answered before",
                "schema": {"type": "string"}
              },
              "Cache-Group-Invalidation": {
                "description": "the groups of products that this order sold out (RFC 9875)",
                "schema": {"type": "string"}
              }
            }
          },
          "202": {
            "description": "with --async: the order is committed, and goes on in the background",
            "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/AcceptedOrder"}}
            },
            "headers": {
              "Location": {"description": "/orders/ID", "schema": {"type": "string"}},
              "Idempotency-Replayed": {
                "description": "true when the key was answered before",
                "schema": {"type": "string"}
              },
              "Cache-Group-Invalidation": {
                "description": "the groups of products that this order sold out (RFC 9875)",
                "schema": {"type": "string"}
              }
            }
          },
          "400": {"$ref": "#/components/responses/Malformed"},
          "409": {"$ref": "#/components/responses/Conflict"},
          "413": {"$ref": "#/components/responses/TooLarge"},
          "415": {"$ref": "#/components/responses/MediaType"},
          "422": {"$ref": "#/components/responses/Unprocessable"},
          "429": {"$ref": "#/components/responses/TooMany"},
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      },
      "get": {
        "summary": "The newest 1000 orders of a user",
        "parameters": [
          {
            "name": "user",
            "in": "query",
            "required": true,
            "description": "the user_id",
            "schema": {"type": "string"}
          }
        ],
        "responses": {
          "200": {
            "description": "newest first",
            "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/OrderList"}}
            }
          },
          "400": {"$ref": "#/components/responses/Malformed"},
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/orders/{id}": {
      "get": {
        "summary": "An order with its states and their times",
        "parameters": [
          {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "the order_id",
            "schema": {"type": "string"}
          }
        ],
        "responses": {
          "200": {
            "description": "the order",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
          },
          "404": {"$ref": "#/components/responses/Unknown"},
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/products": {
      "get": {
        "summary": "All products with their stock; may be cached for a second",
        "responses": {
          "200": {
            "description": "the products",
            "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/ProductList"}}
            }
          },
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/products/{id}": {
      "get": {
        "summary": "A product with its stock; may be cached for a second",
        "parameters": [
          {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "the product's id",
            "schema": {"type": "string"}
          }
        ],
        "responses": {
          "200": {
            "description": "the product",
            "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/Product"}}
            }
          },
          "404": {"$ref": "#/components/responses/Unknown"},
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/products/{id}/restock": {
      "post": {
        "summary": "Add stock; needs --allow-restock",
        "parameters": [
          {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "the product's id",
            "schema": {"type": "string"}
          }
        ],
        "requestBody": {
          "required": true,
          "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Restock"}}}
        },
        "responses": {
          "200": {
            "description": "the product",
            "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/Product"}}
            },
            "headers": {
              "Cache-Group-Invalidation": {
                "description": "the product's groups (RFC 9875)",
                "schema": {"type": "string"}
              }
            }
          },
          "400": {"$ref": "#/components/responses/Malformed"},
          "403": {"$ref": "#/components/responses/Forbidden"},
          "404": {"$ref": "#/components/responses/Unknown"},
          "413": {"$ref": "#/components/responses/TooLarge"},
          "415": {"$ref": "#/components/responses/MediaType"},
          "422": {"$ref": "#/components/responses/Unprocessable"},
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/status": {
      "get": {
        "summary": "Counts by state, stock, queue and drift",
        "responses": {
          "200": {
            "description": "all of one moment",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}
          },
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/metrics": {
      "get": {
        "summary": "The same and more for Prometheus",
        "responses": {
          "200": {
            "description": "text format 0.0.4",
            "content": {"text/plain": {"schema": {"type": "string"}}}
          },
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/healthz": {
      "get": {
        "summary": "Whether the database can be read",
        "responses": {
          "200": {
            "description": "ok",
            "content": {"text/plain": {"schema": {"type": "string"}}}
          },
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/readyz": {
      "get": {
        "summary": "As /healthz, and whether new requests are welcome",
        "responses": {
          "200": {
            "description": "ok",
            "content": {"text/plain": {"schema": {"type": "string"}}}
          },
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/events": {
      "get": {
        "summary": "Each change of an order's state, as it happens",
        "parameters": [
          {
            "name": "Last-Event-ID",
            "in": "header",
            "required": false,
            "description": "the id of the last event that came: those behind it are told first",
            "schema": {"type": "string"}
          },
          {
            "name": "after",
            "in": "query",
            "required": false,
            "description": "the same, for who cannot send the field",
            "schema": {"type": "string"}
          }
        ],
        "responses": {
          "200": {
            "description": "server-sent events without an end: hello (backend), order (order_id, version, status, items, at; at least once each), skipped (more happened than is told)",
            "content": {"text/event-stream": {"schema": {"type": "string"}}}
          },
          "503": {"$ref": "#/components/responses/Unavailable"}
        }
      }
    },
    "/openapi.json": {
      "get": {
        "summary": "This document",
        "responses": {
          "200": {
            "description": "OpenAPI",
            "content": {"application/json": {"schema": {"type": "object"}}}
          }
        }
      }
    }
  },
  "components": {
    "responses": {
      "Malformed": {
        "description": "malformed, no_idempotency_key",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "Forbidden": {
        "description": "forbidden",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "Unknown": {
        "description": "unknown",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "Conflict": {
        "description": "sold_out, in_progress",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "TooLarge": {
        "description": "too_large: over 64 KiB",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "MediaType": {
        "description": "media_type",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "Unprocessable": {
        "description": "wrong_type, missing_field, extra_field, duplicate_field, bad_value, quantity, unknown_product, key_reused",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "TooMany": {
        "description": "user_limit, rate_limit; with Retry-After",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      },
      "Unavailable": {
        "description": "busy, gate_away, unavailable, draining, too_many_viewers, fail_rate; with Retry-After",
        "content": {
          "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
      }
    },
    "schemas": {
      "NewOrder": {
        "type": "object",
        "properties": {
          "user_id": {"type": "string", "minLength": 1, "maxLength": 128},
          "items": {
            "type": "array",
            "minItems": 1,
            "maxItems": 100,
            "items": {
              "type": "object",
              "properties": {
                "product_id": {"type": "string"},
                "quantity": {"type": "integer", "minimum": 1, "maximum": 100}
              },
              "required": ["product_id", "quantity"],
              "additionalProperties": false
            }
          }
        },
        "required": ["user_id", "items"],
        "additionalProperties": false
      },
      "Restock": {
        "type": "object",
        "properties": {"quantity": {"type": "integer", "minimum": 1, "maximum": 1000000}},
        "required": ["quantity"],
        "additionalProperties": false
      },
      "Line": {
        "type": "object",
        "properties": {
          "product_id": {"type": "string"},
          "quantity": {"type": "integer", "minimum": 1, "maximum": 100},
          "price_cents": {"type": "integer"}
        },
        "required": ["product_id", "quantity", "price_cents"],
        "additionalProperties": false
      },
      "State": {"type": "string", "enum": ["accepted", "paid", "shipped", "failed"]},
      "AcceptedOrder": {
        "type": "object",
        "properties": {
          "order_id": {"type": "string"},
          "status": {"$ref": "#/components/schemas/State"},
          "total_cents": {"type": "integer"},
          "items": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}
        },
        "required": ["order_id", "status", "total_cents", "items"],
        "additionalProperties": false
      },
      "Order": {
        "type": "object",
        "properties": {
          "order_id": {"type": "string"},
          "user_id": {"type": "string"},
          "status": {"$ref": "#/components/schemas/State"},
          "total_cents": {"type": "integer"},
          "items": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
          "states": {
            "type": "array",
            "items": {
              "type": "object",
              "properties": {
                "state": {"$ref": "#/components/schemas/State"},
                "at": {"type": "string", "format": "date-time"}
              },
              "required": ["state", "at"],
              "additionalProperties": false
            }
          }
        },
        "required": ["order_id", "user_id", "status", "total_cents", "items", "states"],
        "additionalProperties": false
      },
      "OrderList": {
        "type": "object",
        "properties": {
          "orders": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}}
        },
        "required": ["orders"],
        "additionalProperties": false
      },
      "Product": {
        "type": "object",
        "properties": {
          "id": {"type": "string"},
          "name": {"type": "string"},
          "price_cents": {"type": "integer"},
          "stock": {"type": "integer"}
        },
        "required": ["id", "name", "price_cents", "stock"],
        "additionalProperties": false
      },
      "ProductList": {
        "type": "object",
        "properties": {
          "products": {"type": "array", "items": {"$ref": "#/components/schemas/Product"}}
        },
        "required": ["products"],
        "additionalProperties": false
      },
      "Status": {
        "type": "object",
        "properties": {
          "name": {"type": "string"},
          "version": {"type": "string"},
          "database": {"type": "string"},
          "orders": {
            "type": "object",
            "properties": {
              "accepted": {"type": "integer"},
              "paid": {"type": "integer"},
              "shipped": {"type": "integer"},
              "failed": {"type": "integer"}
            },
            "required": ["accepted", "paid", "shipped", "failed"],
            "additionalProperties": false
          },
          "stock": {
            "type": "array",
            "items": {
              "type": "object",
              "properties": {
                "product_id": {"type": "string"},
                "supplied": {"type": "integer"},
                "available": {"type": "integer"},
                "held": {"type": "integer"},
                "sold": {"type": "integer"},
                "ledger": {"type": "integer"}
              },
              "required": ["product_id", "supplied", "available", "held", "sold", "ledger"],
              "additionalProperties": false
            }
          },
          "queue_depth": {"type": "integer"},
          "oldest_event_ms": {"type": "integer"},
          "parked": {"type": "integer"},
          "waiting_writes": {"type": "integer"},
          "drift": {"type": "integer"},
          "gate": {"$ref": "#/components/schemas/Gate"}
        },
        "required": [
          "name",
          "version",
          "database",
          "orders",
          "stock",
          "queue_depth",
          "oldest_event_ms",
          "parked",
          "waiting_writes",
          "drift"
        ],
        "additionalProperties": false
      },
      "Gate": {
        "type": "object",
        "description": "The stock gate as this process sees it; only with --stock",
        "properties": {
          "state": {"type": "string", "enum": ["open", "closed", "away"]},
          "epoch": {"type": "string"},
          "drift": {"type": "integer"},
          "untold": {"type": "integer"},
          "reserved": {"type": "integer"},
          "sold_out": {"type": "integer"},
          "sold_out_from_memory": {"type": "integer"},
          "past": {"type": "integer"},
          "refused": {"type": "integer"},
          "returned": {"type": "integer"},
          "lowered": {"type": "integer"},
          "built": {"type": "integer"},
          "stock": {
            "type": "array",
            "items": {
              "type": "object",
              "properties": {
                "product_id": {"type": "string"},
                "left": {"type": "integer"},
                "held": {"type": "integer"},
                "available": {"type": "integer"},
                "drift": {"type": "integer"}
              }
            }
          }
        }
      },
      "Problem": {
        "type": "object",
        "properties": {
          "type": {"type": "string"},
          "title": {"type": "string"},
          "status": {"type": "integer"},
          "detail": {"type": "string"}
        },
        "required": ["type", "title", "status"],
        "additionalProperties": false
      }
    }
  }
}
)json";

}  // namespace

std::string_view openapi_document() noexcept { return kDocument; }

}  // namespace sluice::orders
