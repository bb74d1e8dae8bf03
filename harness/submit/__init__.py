"""From the quilt to mails: parts, covers, recipients, versions.  Nothing here sends."""
