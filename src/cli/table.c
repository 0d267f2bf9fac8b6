#include "table.h"

#include <stdlib.h>

void table_init(struct table *table)
{
    *table = (struct table){0};
    buffer_init(&table->text, TABLE_SIZE_MAX);
}

void table_fini(struct table *table)
{
    buffer_fini(&table->text);
    free(table->ends);
}

void table_end_row(struct table *table)
{
    if (table->row_count == table->row_capacity) {
        size_t capacity = table->row_capacity ? 2 * table->row_capacity : 64;
        size_t *ends = realloc(table->ends, capacity * sizeof *ends);
        if (!ends) {
            table->text.failed = true;
            return;
        }
        table->ends = ends;
        table->row_capacity = capacity;
    }
    table->ends[table->row_count++] = table->text.size;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span text)
{
    while (text.size > 0 && is_space(text.data[0]))
        text = span_from(text, 1);
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Takes the next field off the row; false when it was the row's last. */
static bool next_field(struct span *row, struct span *field)
{
    const uint8_t *bar = row->size ? memchr(row->data, '|', row->size) : NULL;
    *field = trim(bar ? span_make(row->data, (size_t)(bar - row->data)) : *row);
    *row = bar ? span_make(bar + 1, row->size - (size_t)(bar + 1 - row->data)) : SPAN_EMPTY;
    return bar != NULL;
}

/* In code points: bytes that don't continue one. */
static size_t width_of(struct span field)
{
    size_t width = 0;
    for (size_t i = 0; i < field.size; i++)
        width += (field.data[i] & 0xc0) != 0x80;
    return width;
}

static struct span row_at(const struct table *table, size_t row)
{
    size_t start = row > 0 ? table->ends[row - 1] : 0;
    return span_make(table->text.data + start, table->ends[row] - start);
}

static size_t count_columns(const struct table *table)
{
    size_t most = 0;
    for (size_t i = 0; i < table->row_count; i++) {
        struct span row = row_at(table, i), field;
        size_t columns = 1;
        while (next_field(&row, &field))
            columns++;
        most = columns > most ? columns : most;
    }
    return most;
}

static void measure(const struct table *table, size_t *widths)
{
    for (size_t i = 0; i < table->row_count; i++) {
        struct span row = row_at(table, i), field;
        bool more = true;
        for (size_t column = 0; more; column++) {
            more = next_field(&row, &field);
            size_t width = width_of(field);
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
}

static void format_row(struct span row, const size_t *widths, struct buffer *out)
{
    struct span field;
    for (size_t column = 0; next_field(&row, &field); column++) {
        buffer_append_span(out, field);
        size_t padding = widths[column] - width_of(field) + 2;
        uint8_t *spaces = buffer_extend(out, padding);
        if (spaces)
            memset(spaces, ' ', padding);
    }
    buffer_append_span(out, field);
}

static void trim_from(struct buffer *out, size_t start)
{
    struct span text = trim(span_from(buffer_span(out), start));
    if (text.size > 0)
        memmove(out->data + start, text.data, text.size);
    buffer_truncate(out, start + text.size);
}

bool table_format(const struct table *table, struct buffer *out)
{
    if (table->text.failed)
        return false;
    size_t *widths = calloc(count_columns(table) + 1, sizeof *widths);
    if (!widths)
        return false;
    measure(table, widths);
    size_t start = out->size;
    for (size_t i = 0; i < table->row_count; i++) {
        if (i > 0)
            buffer_append_u8(out, '\n');
        format_row(row_at(table, i), widths, out);
    }
    free(widths);
    trim_from(out, start);
    return !out->failed;
}
