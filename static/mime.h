/* What kind of content a file has, told by its name. */
#pragma once

/* A value for Content-Type; never NULL (application/octet-stream where the name says nothing). */
const char *mime_of(const char *path);
