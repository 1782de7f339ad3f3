"""What the rules of the safety gate know (tables with sources) and how they read a reply."""
