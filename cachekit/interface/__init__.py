"""What a plugin subclasses or implements. A stranger imports it from `cachekit`, never from here."""
