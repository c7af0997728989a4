"""Services behind one object per connection; no globals, no environment variables."""
