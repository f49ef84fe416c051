-- Run at every start, so it must not mind what is there already.
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS visits (
  id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at   timestamptz NOT NULL DEFAULT now()
);
