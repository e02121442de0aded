"""The study of GCert, repeated on data that can be shipped: ``docs/study.md`` shows what it found."""
