"""Elementary functions with proven errors, from nothing but correctly rounded basic arithmetic."""
