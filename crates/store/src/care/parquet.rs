//! A table as a Parquet file: columns as they are in the store, all of them optional, in groups of rows.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use rusqlite::{Connection, Row, Rows};

use super::export::{Column, Kind};
use crate::error::{StoreError, StoreErrorKind};
use crate::texts;

/// Rows that are held in memory and written together.
const GROUP: usize = 10_000;

/// The cells of a column in one group; nothing where there is none.
enum Cells {
    Integer(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Text(Vec<Option<ByteArray>>),
}

/// Writes all rows; how many they were.
pub(super) fn write(
    sql: &Connection,
    rows: &mut Rows<'_>,
    table: &str,
    columns: &[Column],
    file: File,
) -> Result<u64, StoreError> {
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder(table).with_fields(fields).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
    let mut count = 0;
    loop {
        let mut cells: Vec<Cells> = columns.iter().map(|c| Cells::new(c.kind)).collect();
        let mut held = 0;
        while held < GROUP {
            let Some(row) = rows.next()? else { break };
            cells.iter_mut().enumerate().try_for_each(|(index, cells)| cells.push(sql, row, index))?;
            held += 1;
        }
        if held == 0 {
            break;
        }
        let mut group = writer.next_row_group()?;
        cells.iter().try_for_each(|cells| cells.write(&mut group))?;
        group.close()?;
        count += held as u64;
    }
    writer.close()?;
    Ok(count)
}

fn field(column: &Column) -> Result<Arc<Type>, ParquetError> {
    let (physical, converted) = match column.kind {
        Kind::Integer => (Physical::INT64, ConvertedType::NONE),
        Kind::Real => (Physical::DOUBLE, ConvertedType::NONE),
        Kind::Json => (Physical::BYTE_ARRAY, ConvertedType::JSON),
        Kind::Text | Kind::Bytes => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
    };
    let builder = Type::primitive_type_builder(&column.name, physical).with_repetition(Repetition::OPTIONAL);
    builder.with_converted_type(converted).build().map(Arc::new)
}

impl Cells {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Cells::Integer(Vec::new()),
            Kind::Real => Cells::Real(Vec::new()),
            Kind::Text | Kind::Json | Kind::Bytes => Cells::Text(Vec::new()),
        }
    }

    fn push(&mut self, sql: &Connection, row: &Row<'_>, index: usize) -> Result<(), StoreError> {
        let cell = row.get_ref(index)?;
        match self {
            Cells::Integer(cells) => cells.push(row.get(index)?),
            Cells::Real(cells) => cells.push(row.get(index)?),
            Cells::Text(cells) => cells.push(match cell {
                rusqlite::types::ValueRef::Null => None,
                rusqlite::types::ValueRef::Blob(bytes) => Some(agenttts_core::text::hex(bytes).into_bytes().into()),
                _ => Some(texts::cell(sql, row, index)?.into_bytes().into()),
            }),
        }
        Ok(())
    }

    fn write(&self, group: &mut SerializedRowGroupWriter<'_, File>) -> Result<(), ParquetError> {
        match self {
            Cells::Integer(cells) => column::<Int64Type>(group, cells),
            Cells::Real(cells) => column::<DoubleType>(group, cells),
            Cells::Text(cells) => column::<ByteArrayType>(group, cells),
        }
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    cells: &[Option<T::T>],
) -> Result<(), ParquetError> {
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General("the file has fewer columns than the table".into()));
    };
    let values: Vec<T::T> = cells.iter().flatten().cloned().collect();
    let present: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    writer.typed::<T>().write_batch(&values, Some(&present), None)?;
    writer.close()
}

impl From<ParquetError> for StoreError {
    fn from(error: ParquetError) -> Self {
        StoreError::new(StoreErrorKind::Other, error.to_string())
    }
}
